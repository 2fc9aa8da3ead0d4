import assert from "node:assert/strict";
import { ClusterHost } from "../support/cluster_host.ts";
import { Daemon } from "../support/daemon.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { refusal } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";
import { installMissing } from "./support/debian_packages.ts";

// What somebody has written into etcd by hand that is no text, or none of ours, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
const LOCKS = "/virtlockd/test/lock/scsi";
/** No UTF-8, and JSON all the same where the name in it does not count. */
const BYTES = Uint8Array.from([...'{"domain":"'].map((each) => each.charCodeAt(0)).concat(0xff, 0x22, 0x7d));

async function stateOf({ place, daemon }: ClusterHost): Promise<string> {
  const args = ["status", "--json", "--connect", daemon.adminSocket];
  return JSON.parse((await Daemon.run({ args, place })).stdout).sections.cluster.state;
}

Deno.test("a key that somebody has spoilt is named, grants nothing, and stands in nobody else's way", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await onA.acquire(a.space, "disk", AUTOCREATE);
  await etcd.putBytes(`${LOCKS}/spoilt`, BYTES);
  await etcd.putBytes("/virtlockd/test/session/stray", Uint8Array.of(0xff));
  assert.match(
    await refusal(onB.acquire(b.space, "spoilt", AUTOCREATE)),
    /\/virtlockd\/test\/lock\/scsi\/spoilt holds bytes that are no text \(docs\/cluster-etcd\.md says what to do/,
  );
  // A time that no date can name: whoever showed it ended.
  const times = { session: "s", attempt: "a", domain: "d", uuid: "u", pid: 1, start: 1, since: 9e15 };
  await etcd.putBytes(`${LOCKS}/never`, new TextEncoder().encode(JSON.stringify(times)));
  assert.match(
    await refusal(onB.acquire(b.space, "never", AUTOCREATE)),
    /\/virtlockd\/test\/lock\/scsi\/never has 9000000000000000 as its since, which cannot be/,
  );
  await onB.acquire(b.space, "other", AUTOCREATE);
  assert.equal(await stateOf(b), "live");
  for (
    const [list, shown] of [["locks", /^scsi +disk .*\nscsi +other /m], ["hosts", / b .*live/], [
      "status",
      /^hosts: +2 live$/m,
    ]] as const
  ) {
    const { stdout, stderr, code } = await b.command(list);
    assert.match(stdout, shown);
    assert.match(
      stderr,
      /keys? in etcd cannot be read, and nothing of that is shown: .*\/session\/stray holds bytes that are no text/,
    );
    assert.equal(stderr.includes(`${LOCKS}/spoilt holds bytes that are no text`), list !== "hosts");
    assert.equal(code, 1);
  }
  // The lock that a guest has: its host keeps it for the guest, says so, and no other host gets it.
  await etcd.putBytes(`${LOCKS}/disk`, BYTES);
  await a.daemon.log.match(
    /nobody gets a lock by it: \/virtlockd\/test\/lock\/scsi\/disk holds bytes that are no text/,
  );
  assert.match(await refusal(onB.acquire(b.space, "disk", AUTOCREATE)), /\/lock\/scsi\/disk holds bytes/);
  const locks = await Daemon.run({
    args: ["locks", "--json", "--connect", a.daemon.adminSocket],
    place: a.place,
  });
  assert.deepEqual(JSON.parse(locks.stdout).map(({ state }: { state: string }) => state), ["held"]);
  await etcd.control("del", `${LOCKS}/disk`);
  await a.daemon.log.match(
    /Somebody has changed \/virtlockd\/test\/lock\/scsi\/disk in etcd by hand\. It is as it was/,
  );
  assert.match(await refusal(onB.acquire(b.space, "disk", AUTOCREATE)), /'disk' is locked by domain/);
  await etcd.control("del", `${LOCKS}/spoilt`);
  await onB.acquire(b.space, "spoilt", AUTOCREATE);
});

Deno.test("a host whose list of its own locks somebody has spoilt joins all the same, and leaves that alone", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const [own = ""] = (await etcd.keys("/virtlockd/test/own/")).keys();
  const stray = own.replace(/disk$/, "stray");
  await etcd.putBytes(stray, BYTES);
  await guest.kill();
  await a.daemon.kill();
  await a.startDaemon();
  await a.daemon.log.match(
    /nobody gets a lock by it: \/virtlockd\/test\/own\/.*\/stray holds bytes that are no text/,
  );
  await until("what the guest had to be given back", async () => (await etcd.keys(`${LOCKS}/`)).size === 0);
  assert.deepEqual([...(await etcd.keys("/virtlockd/test/own/")).keys()], [stray]);
  assert.equal(await stateOf(a), "live");
});
