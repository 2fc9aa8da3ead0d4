import assert from "node:assert/strict";
import { clusterLog } from "../../../../src/lockd/cluster/cluster_log.ts";
import { recordedLog } from "../../../support/recorded_log.ts";
import { resource } from "../programs/lock_fixture.ts";

Deno.test("the log tells commands with names as they are typed", () => {
  const lines: string[] = [];
  const log = clusterLog(recordedLog((line) => lines.push(line)));
  log.fencingFailed("rack 1's host", "exit code 7", 30_000);
  log.earlierStartKept({ session: "s 1", boot: "b", locks: 2, reason: "this is a container" });
  const disk = resource({ id: 1, name: "disk" });
  const owner = { name: "rack 1's guest", uuid: "u", pid: 9, id: 1 };
  log.lostGuest({ kind: "stopped", owner, resource: disk });
  log.lostGuest({ kind: "spared", owner, resource: disk, reason: "it cannot be told" });
  assert.deepEqual(lines, [
    "error: Host 'rack 1's host' is not fenced, and its locks stay: exit code 7. It is tried again in 30 s. Make sure " +
    "that it is off and stays off, then free its locks: virtlockd cluster fence 'rack 1'\\''s host'",
    "error: An earlier start of this host (boot b) has 2 locks in etcd, which stay, because it is not certain that its " +
    "guests are gone: this is a container. When they are, free them: virtlockd cluster fence 's 1'",
    "error: The guest of domain 'rack 1's guest' (uuid u, pid 9) was stopped by a signal, for another host of the " +
    "cluster has the lock on 'disk'. It must not go on over what the other guest has written. Destroy it: " +
    "virsh destroy 'rack 1'\\''s guest'",
    "error: The guest of domain 'rack 1's guest' (uuid u, pid 9) could not be ended, although another host of the " +
    "cluster has the lock on 'disk': it cannot be told. Two guests may write to one disk. Destroy it: " +
    "virsh destroy 'rack 1'\\''s guest'",
  ]);
});
