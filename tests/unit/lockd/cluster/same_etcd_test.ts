import assert from "node:assert/strict";
import { SameEtcd } from "../../../../src/lockd/cluster/same_etcd.ts";

const answer = (cluster: string, revision: number) => ({ succeeded: true, results: [], cluster, revision });

Deno.test("the same etcd answers with its number, and with revisions that only grow", () => {
  let now = 100;
  const etcd = new SameEtcd(() => now);
  assert.deepEqual([etcd.cluster, etcd.revision, etcd.silence], ["", 0, 0]);
  now = 600;
  assert.equal(etcd.silence, 500);
  assert.equal(etcd.look(answer("7", 10), etcd.revision), undefined);
  assert.deepEqual([etcd.cluster, etcd.revision, etcd.silence], ["7", 10, 0]);
});

Deno.test("an answer may be older than another one that was asked for at the same time", () => {
  const etcd = new SameEtcd(() => 0);
  const before = etcd.revision;
  assert.equal(etcd.look(answer("7", 12), before), undefined);
  assert.equal(etcd.look(answer("7", 11), before), undefined);
  assert.equal(etcd.revision, 12);
});

Deno.test("an etcd that was exchanged or restored is noticed", () => {
  const etcd = new SameEtcd(() => 0);
  etcd.look(answer("7", 12), 0);
  assert.equal(etcd.look(answer("8", 13), 12), "another etcd answers: its cluster id is 8, and was 7");
  assert.equal(
    etcd.look(answer("7", 11), 12),
    "etcd has gone back from revision 12 to 11: it was restored from an earlier state",
  );
});
