import assert from "node:assert/strict";
import { hostsText } from "../../../../../src/lockd/cli/cluster/hosts.ts";
import { hostEntry, knownSessions } from "../../../../../src/lockd/cli/cluster/known_hosts.ts";
import { overviewOf, overviewText } from "../../../../../src/lockd/cli/cluster/status.ts";
import { strictly, UnreadableKeys } from "../../../../../src/lockd/cli/cluster/unreadable_keys.ts";
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

Deno.test("hosts and status call a session the same, for each state that it can have", () => {
  const word = { by: "ann", from: "desk", at: 1_795_266_578_207 };
  const said = "by ann on desk, 2026-11-21 13:09:38Z";
  for (
    const [parts, shown, counted] of [
      [{}, "live", "1 live"],
      [{ heard: false }, "silent", "1 silent"],
      [{ heard: false, quiet: true }, "silent, its daemon was stopped", "1 silent"],
      // It lives, and is about to object: what was said of it counts for whoever looks.
      [{ fencing: { state: "condemned", ...word } }, `condemned ${said}`, "1 condemned"],
      [{ heard: false, fencing: { state: "fenced", ...word } }, `fenced ${said}`, "1 fenced"],
      [{ heard: false, left: true }, "left", "1 left"],
      [{ heard: false, left: true, removed: true }, undefined, "none"],
    ] as const
  ) {
    const cluster = new PlayedCluster();
    cluster.host("a", parts);
    const { questions, keys } = cluster;
    const rows = hostsText(knownSessions(questions, keys).map(hostEntry)).trimEnd().split("\n").slice(1);
    assert.deepEqual(rows.map((row) => row.split(/ {2,}/).at(-1)), shown === undefined ? [] : [shown]);
    const settings = { clusterName: "test", clusterEndpoints: [] };
    const text = overviewText(overviewOf({ settings, keys, questions }, strictly));
    assert.match(text, new RegExp(`^hosts: +${counted}$`, "m"));
  }
});

Deno.test("status says which of the names that a closed cluster waits for etcd knows nothing of", () => {
  const cluster = new PlayedCluster();
  const meta = {
    schema: 2,
    spaces: ["scsi"],
    phase: "recovering",
    round: "r",
    without: [],
    why: "it was emptied",
  };
  cluster.put(cluster.keys.meta, { ...meta, expect: ["kvm-a", "b", "kvm9"] });
  cluster.host("a");
  cluster.host("b");
  const settings = { clusterName: "test", clusterEndpoints: [] };
  const state = () => {
    const text = overviewText(overviewOf({ settings, ...cluster }, new UnreadableKeys().read));
    return text.split("\n").find((line) => line.startsWith("state: "));
  };
  assert.equal(
    state(),
    "state:             recovering, it waits for kvm-a, b, kvm9 (etcd knows nothing of kvm9), it was emptied",
  );
  // It may be what cannot be read.
  cluster.spoil(cluster.keys.session("s-b"), "{");
  assert.equal(state(), "state:             recovering, it waits for kvm-a, b, kvm9, it was emptied");
});
