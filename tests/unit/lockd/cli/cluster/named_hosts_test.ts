import assert from "node:assert/strict";
import { confirmAllNamed } from "../../../../../src/lockd/cli/cluster/named_hosts.ts";
import { PlayedCluster } from "./played_cluster.ts";

const FENCED = { state: "fenced", by: "ann", from: "desk", at: 0 };

Deno.test("every host that is neither fenced nor has left has to be named, by its id or a name that it alone has", () => {
  const played = new PlayedCluster();
  played.host("a");
  played.host("b", { heard: false });
  played.host("c", { heard: false, fencing: FENCED });
  played.host("d", { heard: false, left: true });
  const confirm = (...named: readonly string[]) => confirmAllNamed(played, named, "Name it");
  confirm("a", "kvm-b", "kvm-elsewhere");
  assert.throws(() => confirm("a", "kvm-c"), {
    message: "kvm-b (id b): of the cluster, and not named. Name it",
  });
  played.host("e", { name: "kvm-b" });
  assert.throws(() => confirm("a", "kvm-b"), {
    message: "kvm-b (id b), kvm-b (id e): of the cluster, and not named. Name it",
  });
  confirm("a", "b", "e");
});

Deno.test("a name that is another host's id names that one only", () => {
  const played = new PlayedCluster();
  played.host("a", { name: "kvm8" });
  played.host("kvm8", { name: "kvm7" });
  assert.throws(() => confirmAllNamed(played, ["kvm7", "kvm8"], "Name it"), {
    message: "kvm8 (id a): of the cluster, and not named. Name it",
  });
  confirmAllNamed(played, ["kvm8", "a"], "Name it");
});

Deno.test("a host that had another name in an earlier start is named by the one that it has", () => {
  const played = new PlayedCluster();
  played.host("a", { session: "s-0", heard: false, name: "before" });
  played.host("a", { session: "s-1", name: "now" });
  confirmAllNamed(played, ["now"], "Name it");
  assert.throws(() => confirmAllNamed(played, ["other"], "Name it"), {
    message: "before (id a), now (id a): of the cluster, and not named. Name it",
  });
});
