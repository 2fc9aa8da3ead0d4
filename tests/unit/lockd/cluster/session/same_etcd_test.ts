import assert from "node:assert/strict";
import { SameEtcd } from "../../../../../src/lockd/cluster/session/same_etcd.ts";

const answer = (cluster: string, revision: number) => ({ succeeded: true, results: [], cluster, revision });

Deno.test("the same etcd answers with its number, and with revisions that only grow", () => {
  let now = 100;
  const etcd = new SameEtcd(() => now);
  assert.deepEqual([etcd.cluster, etcd.moment.revision, etcd.silence], ["", 0, 0]);
  now = 600;
  assert.equal(etcd.silence, 500);
  assert.deepEqual(etcd.look(answer("7", 10), etcd.moment), { kind: "same" });
  assert.deepEqual([etcd.cluster, etcd.moment.revision, etcd.silence], ["7", 10, 0]);
});

Deno.test("an answer may be older than another one that was asked for at the same time", () => {
  const etcd = new SameEtcd(() => 0);
  const asked = etcd.moment;
  assert.deepEqual(etcd.look(answer("7", 12), asked), { kind: "same" });
  assert.deepEqual(etcd.look(answer("7", 11), asked), { kind: "same" });
  assert.equal(etcd.moment.revision, 12);
});

Deno.test("an etcd that was exchanged is noticed once, and is from then on the one that it has to be", () => {
  const etcd = new SameEtcd(() => 0);
  etcd.look(answer("7", 12), etcd.moment);
  const asked = etcd.moment;
  assert.deepEqual(etcd.look(answer("8", 5), asked), {
    kind: "another",
    reason: "another etcd answers: its cluster id is 8, and was 7",
  });
  assert.deepEqual(etcd.look(answer("8", 5), asked), { kind: "earlier" });
  assert.deepEqual(etcd.look(answer("9", 5), etcd.moment, "https://etcd3:2379"), {
    kind: "another",
    reason: "another etcd answers at https://etcd3:2379: its cluster id is 9, and was 8",
  });
  assert.deepEqual(etcd.look(answer("9", 5), etcd.moment, "https://etcd3:2379"), { kind: "same" });
});

Deno.test("an etcd that was restored is noticed by its revision, also by the next daemon", () => {
  const etcd = new SameEtcd(() => 0, "7", 12);
  assert.deepEqual(etcd.look(answer("7", 11), etcd.moment), {
    kind: "another",
    reason: "etcd has gone back from revision 12 to 11: it was restored from an earlier state",
  });
  assert.deepEqual(etcd.look(answer("7", 11), etcd.moment), { kind: "same" });
});
