import assert from "node:assert/strict";
import { UngrantedTries, type UngrantedTry } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";

const MARK = { key: "m", before: "b", after: "a" };
const OTHER = { key: "n", before: "b", after: "a" };

/** Tries, and what the journal was told of them. */
function tries(...before: readonly UngrantedTry[]) {
  const journal: string[][] = [];
  const all: UngrantedTries = new UngrantedTries(before, () => {
    journal.push(all.all.map(({ value, changed }) => `${value} ${changed.map(({ key }) => key)}`));
  });
  return { all, journal };
}

Deno.test("a try is in the journal from before it is asked until it is granted or cannot come", () => {
  const { all, journal } = tries();
  all.put({ value: "v", changed: [MARK, OTHER] });
  assert.deepEqual(all.changedBy("v"), [MARK, OTHER]);
  all.put({ value: "w", changed: [MARK] });
  all.end("v");
  assert.deepEqual(journal, [["v m,n"], ["v m,n", "w m"], ["w m"]]);
  assert.deepEqual([all.changedBy("v"), all.changedBy("w")], [[], [MARK]]);
});

Deno.test("of a lock that told nobody, and of one that is none of them, the journal hears nothing", () => {
  const { all, journal } = tries();
  all.put({ value: "v", changed: [] });
  all.end("v");
  all.put({ value: "w", changed: [MARK] });
  all.end("v");
  assert.deepEqual(journal, [["w m"]]);
});

Deno.test("a try has told less when marks say something else by now, and nothing when all do", () => {
  const { all, journal } = tries();
  all.put({ value: "v", changed: [MARK, OTHER] });
  all.put({ value: "v", changed: [OTHER] });
  all.put({ value: "v", changed: [] });
  assert.deepEqual(journal, [["v m,n"], ["v n"], []]);
});

Deno.test("the next daemon goes on with those that came to something in etcd, and with no others", () => {
  const before = [{ value: "there", changed: [MARK] }, { value: "never came", changed: [OTHER] }];
  const { all, journal } = tries(...before);
  assert.deepEqual([all.all, journal], [before, []]);
  all.found(new Set(["there", "another"]));
  assert.deepEqual([all.all, journal], [[{ value: "there", changed: [MARK] }], [["there m"]]]);
});
