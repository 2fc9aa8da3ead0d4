import assert from "node:assert/strict";
import type { Answer, Question } from "../../../../../src/etcd/wire/link_messages.ts";
import { SessionEtcd } from "../../../../../src/lockd/cluster/session/session_etcd.ts";

const SEEN = { etcd: "e", session: 7, meta: 5, round: "r" };
const NOTHING = { compare: [], success: [], failure: [] };

function answer(cluster: string, revision: number): Answer {
  return { kind: "transaction", result: { succeeded: true, results: [], cluster, revision } };
}

function stage() {
  const asked: { question: Question; done: (answer: Answer) => void }[] = [];
  const told: string[] = [];
  const state = { closed: false };
  const etcd = new SessionEtcd({
    etcd: { ask: (question, _limit, done) => void asked.push({ question, done }) },
    clock: () => 0,
    seen: SEEN,
    closed: () => state.closed,
    another: () => void told.push("another"),
  });
  const ask = () => etcd.ask(NOTHING, (each) => void told.push(each.kind));
  return { etcd, asked, told, state, ask };
}

Deno.test("an answer of the etcd that it was is passed on, and what is none too", () => {
  const { asked, told, ask } = stage();
  ask();
  asked[0]?.done(answer("e", 8));
  ask();
  asked[1]?.done({ kind: "refused", reason: "no" });
  assert.deepEqual(told, ["transaction", "refused"]);
});

Deno.test("an answer of another etcd, or an earlier state, is an unknown outcome, told of before", () => {
  for (const other of [answer("f", 8), answer("e", 6)]) {
    const { asked, told, ask } = stage();
    ask();
    asked[0]?.done(other);
    assert.deepEqual(told, ["another", "unknown"]);
  }
});

Deno.test("what was asked before etcd had changed is an unknown outcome, and no other change", () => {
  const { asked, told, ask } = stage();
  ask();
  ask();
  asked[0]?.done(answer("f", 8));
  asked[1]?.done(answer("e", 9));
  assert.deepEqual(told, ["another", "unknown", "unknown"]);
});

Deno.test("nobody is told anything any more when the session is closed", () => {
  const { etcd, asked, told, state, ask } = stage();
  ask();
  etcd.awaitChange("p", 3, 10, () => void told.push("changed"));
  assert.deepEqual(asked[1]?.question, { kind: "await-change", prefix: "p", from: 3 });
  state.closed = true;
  asked[0]?.done(answer("f", 8));
  asked[1]?.done({ kind: "changed" });
  assert.deepEqual(told, []);
});

Deno.test("a change that was waited for is told apart from an etcd that cannot be asked", () => {
  const { etcd, asked } = stage();
  const hinted: boolean[] = [];
  etcd.awaitChange("p", 3, 10, (each) => void hinted.push(each));
  etcd.awaitChange("p", 3, 10, (each) => void hinted.push(each));
  asked[0]?.done({ kind: "changed" });
  asked[1]?.done({ kind: "unknown", reason: "cut" });
  assert.deepEqual(hinted, [true, false]);
});
