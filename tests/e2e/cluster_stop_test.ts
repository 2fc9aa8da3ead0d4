import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { isFree } from "../support/kernel.ts";
import { refusal } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

// What a daemon that is stopped says of its locks, and whether that is so: with a real etcd and two hosts.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

Deno.test("a daemon that is stopped says which locks etcd keeps, and no other host gets them until their guest ends", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  // Nobody of the stopped host would give it a lock that it waited for.
  await using b = await ClusterHost.start(etcd, "b", { settings: "storage_timeout = 30\ncluster_wait = 1" });
  const local = `${a.place.directory}/local`;
  Deno.writeTextFileSync(local, "");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await guest.acquire("", local);
  await using other = await Holder.start(b.daemon);
  assert.equal(await a.daemon.stop(), 0);
  assert.match(
    a.daemon.log.text,
    new RegExp(
      `warning : .*Stopping with 2 locks held of the guest '${guest.owner.name}': 1 lock of the guest '${guest.owner.name}' ` +
        "is given up now, and nothing protects these disks until the next daemon, which takes the locks again that " +
        `nobody else has got by then\\. etcd keeps 1 lock of the guest '${guest.owner.name}' for this host: no other host ` +
        "of the cluster gets its disk, and the next daemon here goes on with it\n",
    ),
  );
  assert.equal(isFree(local), true);
  assert.match(await refusal(other.acquire(b.space, "disk", AUTOCREATE)), /'disk' is locked by domain/);
  // As after a stop by systemd, which drops what it keeps: nothing here tells of the lock but etcd.
  Deno.removeSync(`${a.place.paths.journalDir}/journal`);
  await a.startDaemon();
  await a.daemon.log.match(/etcd has kept 1 lock for this host/);
  assert.match(await refusal(other.acquire(b.space, "disk", AUTOCREATE)), /'disk' is locked by domain/);
  await guest.kill();
  await until("the lock to go", async () => (await etcd.keys("/virtlockd/test/lock/")).size === 0);
  await other.acquire(b.space, "disk", AUTOCREATE);
});
