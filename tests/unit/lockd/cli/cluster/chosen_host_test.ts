import assert from "node:assert/strict";
import { chosenHost } from "../../../../../src/lockd/cli/cluster/chosen_host.ts";
import { knownSessions } from "../../../../../src/lockd/cli/cluster/known_hosts.ts";
import { PlayedCluster } from "./played_cluster.ts";

Deno.test("a host is chosen by its name as the lists show it, unless another one is called that", () => {
  const played = new PlayedCluster();
  const chosen = () => chosenHost(knownSessions(played.questions, played.keys), "kvm\\t7").host;
  played.host("a", { name: "kvm\t7" });
  assert.equal(chosen(), "a");
  played.host("b", { name: "kvm\\t7" });
  assert.equal(chosen(), "b");
});

Deno.test("a host is chosen by its name, its id or a session, and of several it is said how to tell them", () => {
  const played = new PlayedCluster();
  played.host("a", { name: "kvm7" });
  played.host("b", { name: "kvm7" });
  played.host("kvm9", { session: "s-c", name: "kvm8" });
  played.host("d", { name: "kvm9" });
  const chosen = (meant: string) => chosenHost(knownSessions(played.questions, played.keys), meant).host;
  assert.deepEqual(["a", "s-b", "kvm8", "s-c", "d"].map(chosen), ["a", "b", "kvm9", "kvm9", "d"]);
  assert.throws(() => chosen("kvm7"), {
    message: "Several hosts are called 'kvm7', choose one by its id: a, b",
  });
  assert.throws(() => chosen("kvm9"), {
    message: "Several hosts are called 'kvm9', choose one by its session: s-c (id kvm9), s-d (id d)",
  });
  assert.throws(() => chosen("kvm1"), { message: /^There is no host 'kvm1' in the cluster/ });
});
