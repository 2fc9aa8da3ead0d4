import assert from "node:assert/strict";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { PausedMarks } from "../../../../../src/lockd/cluster/locks/paused_marks.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const EPOCH = { sessionKey: "s", session: 1, metaKey: "m", meta: 2 };
const HOLDER = { session: "s", attempt: "a", domain: "d", uuid: "u", pid: 7, start: 9, since: 0 };
const MARK = { key: "k", own: "o", value: JSON.stringify(HOLDER) };

/** Nothing is asked of etcd. */
const UNASKED = {
  whenLive: () => assert.fail(),
  ask: () => assert.fail(),
  doubt: () => assert.fail(),
  moved: () => assert.fail(),
};

Deno.test("the mark of a paused guest goes with its process, however often etcd does not say so", () => {
  const time = new PlayedTime();
  const asked: Transaction[] = [];
  const doubts: string[] = [];
  let alive = true;
  const marks = new PausedMarks({
    session: {
      whenLive: (_until, ready) => ready(EPOCH),
      ask: (transaction, done) => {
        asked.push(transaction);
        if (asked.length === 1) return done({ kind: "unknown", reason: "no answer" });
        done({ kind: "transaction", result: { succeeded: true, results: [], cluster: "1", revision: 3 } });
      },
      doubt: (reason) => doubts.push(reason),
      moved: () => false,
    },
    loop: time.loop(),
    lives: (pid, start) => alive && pid === 7 && start === 9,
  });
  marks.add(MARK);
  time.advance();
  assert.deepEqual([asked.length, marks.size, time.now], [0, 1, 3000]);
  alive = false;
  time.advance();
  assert.deepEqual([asked.length, marks.size, doubts], [2, 0, ["no answer"]]);
  assert.deepEqual(asked[1]?.success, [{ op: "delete", key: "k" }, { op: "delete", key: "o" }]);
});

Deno.test("a mark that has gone already is not taken away", () => {
  const time = new PlayedTime();
  const marks = new PausedMarks({
    session: UNASKED,
    loop: time.loop(),
    lives: () => false,
  });
  marks.add(MARK);
  marks.gone("k");
  time.advance();
  assert.equal(marks.size, 0);
});

Deno.test("marks are looked at every 3 s, also when the last one has gone and another one has come", () => {
  const time = new PlayedTime();
  const looks: number[] = [];
  const marks = new PausedMarks({
    session: UNASKED,
    loop: time.loop(),
    lives: () => {
      looks.push(time.now);
      return true;
    },
  });
  marks.add(MARK);
  marks.gone("k");
  marks.add(MARK);
  marks.gone("k");
  marks.add(MARK);
  time.advance();
  time.advance();
  assert.deepEqual(looks, [3000, 6000]);
});
