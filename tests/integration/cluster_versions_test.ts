import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { keysOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { reExec } from "../support/re_exec.ts";
import { until } from "../support/until.ts";

// A host whose version of virtlockd is not that of what etcd has: docs/cluster-etcd.md, "A new version of
// virtlockd".

const META = new ClusterKeys("test").meta;
const ANOTHER = "/virtlockd/test/meta has version 3, and this daemon knows 2";

Deno.test("a host of another version than etcd has locks nothing new and writes nothing over it, and puts all in when it is deleted", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.start(etcd, "a");
  await using guest = await PlayedGuest.start(a);
  await using next = await PlayedGuest.start(a);
  assert.equal(await guest.acquire("disk"), "granted");
  // A newer one may have put more into a record than this one knows.
  const known = etcd.get(META) ?? "";
  etcd.put(META, known.replace("{", '{"colour":"red",'));
  assert.equal(await next.acquire("other"), "granted");

  // From now on it is not waited for long until it is a member.
  a.configure({ scsi: a.spaces.scsi }, "storage_timeout = 1");
  await reExec(a.daemon);
  await until("the next daemon to be a member", async () => (await a.shown()).state === "live");
  const newer = known.replace('"schema":2', '"schema":3');
  etcd.put(META, newer);
  await a.daemon.log.match(/The cluster cannot be used: \S+ has version 3, and this daemon knows 2 /);
  assert.ok((await next.acquire("new")).includes(ANOTHER));
  assert.deepEqual([await guest.release("disk"), await guest.acquire("disk")], ["released", "granted"]);
  const early = await a.command("recover", "--expect", "a");
  assert.deepEqual([early.code, early.stderr.includes(ANOTHER)], [1, true]);
  a.configure({ scsi: a.spaces.scsi });
  await reExec(a.daemon);
  await until("the next daemon to say so", async () => {
    const { state, reason } = await a.shown();
    return state === "joining" && reason.startsWith(ANOTHER);
  });
  assert.equal((await a.shown()).locks, "disk held,other held");
  assert.equal(etcd.get(META), newer);

  etcd.delete(META);
  await until("the cluster to be closed", () => etcd.get(META)?.includes('"recovering"') ?? false);
  const { code, stdout } = await a.command("recover", "--expect", "a", "--wait", "60");
  assert.deepEqual([code, stdout], [0, "The cluster is open again.\n"]);
  assert.equal(await next.acquire("new"), "granted");
  assert.match(await next.acquire("disk"), /'disk' is locked by domain/);
  const locks = keysOf(etcd).filter((key) => key.startsWith("lock/"));
  assert.deepEqual(locks, ["lock/scsi/disk", "lock/scsi/new", "lock/scsi/other"]);
});
