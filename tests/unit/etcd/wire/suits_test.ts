import assert from "node:assert/strict";
import type { Answer, Question } from "../../../../src/etcd/wire/link_messages.ts";
import { suits } from "../../../../src/etcd/wire/suits.ts";

const QUESTIONS: readonly Question[] = [
  { kind: "transaction", transaction: { compare: [], success: [{ op: "get", key: "a" }], failure: [] } },
  { kind: "grant-lease", seconds: 10 },
  { kind: "keep-lease", lease: "7" },
  { kind: "await-change", prefix: "/a", from: 1 },
  { kind: "await-delete", range: { first: "/a", behind: "/b" }, from: 1 },
  { kind: "versions" },
];

function result(succeeded: boolean, found: number): Answer {
  const results = Array.from({ length: found }, () => ({ found: [], more: false }));
  return { kind: "transaction", result: { succeeded, results, cluster: "1", revision: 2 } };
}

function suited(answer: Answer): string[] {
  return QUESTIONS.filter((question) => suits(question, answer)).map(({ kind }) => kind);
}

Deno.test("an answer is one to questions of its kind, and no answer to any", () => {
  assert.deepEqual(suited(result(true, 1)), ["transaction"]);
  assert.deepEqual(suited({ kind: "lease", lease: "7", seconds: 3 }), ["grant-lease", "keep-lease"]);
  assert.deepEqual(suited({ kind: "changed" }), ["await-change", "await-delete"]);
  assert.deepEqual(suited({ kind: "deleted", keys: [], all: true, until: 3 }), ["await-delete"]);
  assert.deepEqual(suited({ kind: "versions", members: [] }), ["versions"]);
  for (const kind of ["refused", "full", "unknown"] as const) {
    assert.equal(suited({ kind, reason: "r" }).length, QUESTIONS.length);
  }
});

Deno.test("a transaction has a result for each operation that was done", () => {
  assert.deepEqual([0, 2].flatMap((found) => suited(result(true, found))), []);
  assert.deepEqual(suited(result(false, 0)), ["transaction"]);
  assert.deepEqual(suited(result(false, 1)), []);
});
