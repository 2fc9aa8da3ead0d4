import assert from "node:assert/strict";
import { hostsText } from "../../../../../src/lockd/cli/cluster/hosts.ts";
import { hostEntry, knownSessions } from "../../../../../src/lockd/cli/cluster/known_hosts.ts";
import { RecordError } from "../../../../../src/lockd/cluster/keys/record_fields.ts";
import { PlayedCluster } from "./played_cluster.ts";

Deno.test("knownSessions() lists sessions with how their hosts are, of one host the live one first", () => {
  const cluster = new PlayedCluster();
  const fencing = { state: "fenced", by: "ann", from: "desk", at: 1_795_266_578_207 };
  cluster.host("b", { session: "b-old", heard: false, fencing });
  cluster.host("b");
  cluster.host("a", { heard: false });
  const sessions = knownSessions(cluster.questions, cluster.keys).map(hostEntry);
  assert.deepEqual(sessions, [
    { host: "a", name: "kvm-a", session: "s-a", boot: "boot-s-a", state: "silent" },
    { host: "b", name: "kvm-b", session: "s-b", boot: "boot-s-b", state: "live" },
    {
      host: "b",
      name: "kvm-b",
      session: "b-old",
      boot: "boot-b-old",
      state: "fenced",
      fencing: { by: "ann", from: "desk", atMs: 1_795_266_578_207 },
    },
  ]);
  assert.equal(
    hostsText(sessions),
    `HOST   ID  SESSION  BOOT        STATE
kvm-a  a   s-a      boot-s-a    silent
kvm-b  b   s-b      boot-s-b    live
kvm-b  b   b-old    boot-b-old  fenced by ann on desk, 2026-11-21 13:09:38Z
`,
  );
});

Deno.test("knownSessions() does not guess at a state that it does not know", () => {
  const cluster = new PlayedCluster();
  cluster.host("a", { fencing: { state: "halved", by: "ann", from: "desk", at: 1 } });
  assert.throws(
    () => knownSessions(cluster.questions, cluster.keys),
    new RecordError("/virtlockd/test/session/s-a is halved, which this program does not know"),
  );
});

Deno.test("knownSessions() reads any number of sessions", () => {
  const cluster = new PlayedCluster();
  for (let number = 0; number < 4001; number++) cluster.host(`h${number}`);
  assert.equal(knownSessions(cluster.questions, cluster.keys).length, 4001);
});

Deno.test("hostsText() says that there are none", () => {
  assert.equal(hostsText([]), "No hosts.\n");
});
