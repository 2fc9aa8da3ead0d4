import assert from "node:assert/strict";
import { clusterFenceCommand, sessionText } from "../../../../../src/lockd/cli/cluster/fence.ts";
import type { HostEntry } from "../../../../../src/lockd/cli/cluster/known_hosts.ts";
import { PlayedCluster } from "./played_cluster.ts";
import { say } from "./played_command.ts";

const HOST: HostEntry = { host: "h1", name: "kvm1", session: "s1", boot: "b1", state: "silent" };
const LOCK = {
  space: "scsi",
  name: "disk",
  mode: "exclusive",
  domain: "web",
  uuid: "u",
  pid: 7,
  sinceMs: 5,
  host: "kvm1",
  session: "s1",
  state: "silent",
} as const;

Deno.test("whoever fences a host reads which guests it has, and that they may run where its daemon was stopped only", () => {
  const others = { ...LOCK, domain: "db", session: "s2" };
  assert.equal(
    sessionText(HOST, [LOCK, { ...LOCK, name: "more" }, others]),
    "Host 'kvm1' (id h1, boot b1), silent: 2 locks, of web\n",
  );
  assert.equal(
    sessionText({ ...HOST, quiet: true }, [LOCK]),
    "Host 'kvm1' (id h1, boot b1), silent: 1 lock, of web. Its daemon was stopped in order, and these guests may run on\n",
  );
});

Deno.test("of a host that has left nothing is fenced, and locks that it has still are not passed over", async () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { heard: false, left: true });
  const fence = async () => (await say(cluster, clusterFenceCommand, ["kvm-a", "--yes"])).said;
  assert.equal(
    await fence(),
    "Host 'kvm-a' has left the cluster, and has no lock there: nothing is to be fenced.\n",
  );
  cluster.lock("s-a", "disk");
  assert.equal(
    await fence(),
    "1 Host 'kvm-a' has not been fenced: it has left the cluster, and 1 lock of it was not given up then. When their " +
      "guests are gone: virtlockd cluster leave s-a --force",
  );
});
