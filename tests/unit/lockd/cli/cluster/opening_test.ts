import assert from "node:assert/strict";
import { openingAdvice } from "../../../../../src/lockd/cli/cluster/opening.ts";
import { PlayedCluster } from "./played_cluster.ts";

const META = { schema: 2, spaces: ["scsi"], phase: "forming", round: "r1", expect: [], without: [], why: "" };

function stage(meta: Partial<Record<keyof typeof META, unknown>> = {}): PlayedCluster {
  const played = new PlayedCluster();
  played.put(played.keys.meta, { ...META, ...meta });
  return played;
}

Deno.test("the command that opens a cluster is told with the hosts that are known so far", () => {
  const played = stage();
  played.host("a");
  played.host("b", { name: "rack 1's host" });
  played.host("gone", { left: true });
  assert.equal(
    openingAdvice(played),
    "On one host, with every host that uses the cluster's disks; known so far: " +
      "virtlockd cluster open --expect 'kvm-a,rack 1'\\''s host'",
  );
});

Deno.test("hosts that a list of names cannot tell apart are told by their ids", () => {
  const played = stage();
  played.host("a", { name: "kvm" });
  played.host("b", { name: "kvm" });
  played.host("c", { name: "one,two" });
  played.host("d", { name: "other" });
  played.host("d", { session: "earlier", heard: false, name: "other" });
  played.host("e", { name: "a" });
  played.host("f", { name: "tab\there" });
  assert.match(openingAdvice(played) ?? "", / --expect e,a,b,c,other,f$/);
});

Deno.test("of a cluster that was lost the command is the one that recovers it, and of one that waits it is what to look at", () => {
  const lost = stage({ phase: "recovering", why: "etcd was emptied" });
  lost.host("a");
  assert.equal(
    openingAdvice(lost),
    "On one host, with every host that uses the cluster's disks; known so far: virtlockd cluster recover --expect " +
      "kvm-a. One that is off, and stays off until its guests are gone, is named with --without instead",
  );
  const waiting = stage({ expect: ["kvm-a", "kvm-b"] });
  waiting.host("a");
  assert.equal(
    openingAdvice(waiting),
    "etcd knows nothing of kvm-b: compare with that host's name, and with its cluster_host_id. 'virtlockd cluster " +
      "join' on each host that it waits for says what is in the way there. If other hosts use the disks than were " +
      "named, say it again, with all of them; known so far: virtlockd cluster open --expect kvm-a",
  );
  waiting.host("b", { heard: false });
  assert.equal(
    openingAdvice(waiting),
    "'virtlockd cluster join' on each host that it waits for says what is in the way there. If other hosts use the " +
      "disks than were named, say it again, with all of them; known so far: virtlockd cluster open --expect kvm-a,kvm-b",
  );
});

Deno.test("nothing is to be typed for a cluster that is open, or that nobody has joined", () => {
  assert.equal(openingAdvice(stage({ phase: "open" })), undefined);
  assert.equal(openingAdvice(new PlayedCluster()), undefined);
});
