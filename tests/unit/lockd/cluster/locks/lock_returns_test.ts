import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { KeyValue, Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { LockReturns } from "../../../../../src/lockd/cluster/locks/lock_returns.ts";
import { UngrantedTries } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";
import type { ChangedMark, ClusterLock } from "../../../../../src/lockd/cluster/keys/transactions.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const EPOCH = { sessionKey: "s", session: 1, metaKey: "m", meta: 2 };
const NAME = { space: "scsi", name: "disk" };
const LOCK = { key: KEYS.exclusive(NAME), own: "own", value: "v" };
const RECORD = { session: "mine", attempt: "a", domain: "d", uuid: "u", pid: 7, start: 9, since: 0 };
const MARK = { key: "mark", own: "own mark", value: JSON.stringify(RECORD) };
const DONE: Answer = answer(true);

function answer(succeeded: boolean, ...found: readonly KeyValue[][]): Answer {
  const results = found.map((each) => ({ found: each, more: false }));
  return { kind: "transaction", result: { succeeded, results, cluster: "1", revision: 6 } };
}

/** Gives the lock back while etcd answers so. @returns what etcd was asked, and what was told */
function given(mark: typeof MARK | undefined, ...answers: readonly Answer[]) {
  return givenUp([], mark, ...answers);
}

/** The same, where the lock was granted to nobody. @param changed what paused guests were told of it */
function givenUp(
  changed: readonly ChangedMark[],
  mark: typeof MARK | undefined,
  ...answers: readonly Answer[]
) {
  const tries = new UngrantedTries([{ value: LOCK.value, changed }], () => {});
  const time = new PlayedTime();
  const asked: Transaction[] = [];
  const told: (string | undefined)[] = [];
  const returns = new LockReturns({
    session: {
      id: "mine",
      whenLive: (_until, ready) => ready(EPOCH),
      ask: (transaction, done) => {
        asked.push(transaction);
        done(answers[asked.length - 1] ?? assert.fail("It asks too often"));
      },
      doubt: (reason) => told.push(`doubt ${reason}`),
      moved: () => false,
    },
    keys: KEYS,
    loop: time.loop(),
    tries,
  });
  returns.give(LOCK, mark, (failure) => told.push(failure ?? "given"));
  // As long as anything is to be done again.
  for (let pause = 0; pause < 3; pause++) time.advance();
  return { asked: asked.map(({ success }) => success), told, compared: asked.map(({ compare }) => compare) };
}

const RELEASE = [
  { op: "delete", key: LOCK.key },
  { op: "delete", key: "own" },
  { op: "delete", key: "/virtlockd/test/want/mine/lock/scsi/disk" },
];

Deno.test("a release takes lock, entry and question away together, and puts the mark of a paused guest", () => {
  const { compared, ...first } = given(undefined, DONE);
  assert.deepEqual(first, { asked: [RELEASE], told: ["given"] });
  assert.deepEqual(compared[0]?.slice(2), [{ kind: "value", key: LOCK.key, value: "v" }]);
  const marked = [
    { op: "put", key: "mark", value: MARK.value },
    { op: "put", key: "own mark", value: MARK.value },
  ];
  assert.deepEqual(given(MARK, DONE).asked, [[...RELEASE, ...marked]]);
});

Deno.test("a release of which nothing is known is done again after a bump, one that was refused later", () => {
  const { asked, told } = given(
    undefined,
    { kind: "unknown", reason: "no answer" },
    { kind: "refused", reason: "permission denied" },
    { kind: "full", reason: "etcd is full" },
    DONE,
  );
  assert.deepEqual([asked.length, told], [4, ["doubt no answer", "given"]]);
});

Deno.test("of a lock that somebody else has taken only the entry goes", () => {
  const { asked } = given(undefined, answer(false, [], [], []), DONE);
  assert.deepEqual(asked.slice(1), [[{ op: "delete", key: "own" }]]);
});

Deno.test("a paused guest whose lock somebody else has taken is marked as if that had been used", () => {
  const { asked } = given(MARK, answer(false, [], [], [], []), DONE, DONE);
  const [put] = asked[1] ?? [];
  assert.ok(put?.op === "put");
  assert.deepEqual([put.key, JSON.parse(put.value).used.domain], ["mark", "(not known any more)"]);
  assert.deepEqual(asked[2], [{ op: "delete", key: "own" }]);
});

Deno.test("the mark that a release has put whose answer was lost stays as it is", () => {
  const there = { key: "mark", value: MARK.value, changedAt: 5 };
  const { asked } = given(MARK, { kind: "unknown", reason: "x" }, answer(false, [], [], [], [there]), DONE);
  assert.deepEqual(asked.slice(2), [[{ op: "delete", key: "own" }]]);
});

Deno.test("a mark that says that somebody else has had the lock is not written over when its guest is paused", () => {
  const value = JSON.stringify({ ...RECORD, used: { ...RECORD, domain: "other" } });
  const there = [{ key: "mark", value, changedAt: 5 }];
  const held = [{ key: LOCK.key, value: LOCK.value, changedAt: 4 }];
  const { asked, told, compared } = given(MARK, answer(false, [], [], held, there), DONE);
  assert.deepEqual([asked[1], told], [RELEASE, ["given"]]);
  assert.deepEqual(compared[0]?.slice(3), [{ kind: "changed-at", key: "mark", revision: 0 }]);
});

Deno.test("the mark of a guest whose host was fenced meanwhile is one of the session that there is now", () => {
  const key = KEYS.paused(NAME, "mine.2", RECORD);
  const marked: (ClusterLock | undefined)[] = [];
  const asked: Transaction[] = [];
  const returns = new LockReturns({
    session: {
      id: "mine.2",
      whenLive: (_until, ready) => ready(EPOCH),
      ask: (transaction, done) => {
        asked.push(transaction);
        done(DONE);
      },
      doubt: () => assert.fail(),
      moved: () => false,
    },
    keys: KEYS,
    loop: new PlayedTime().loop(),
    tries: new UngrantedTries([], () => {}),
  });
  returns.give(LOCK, MARK, (_failure, mark) => void marked.push(mark));
  const value = JSON.stringify({ ...RECORD, session: "mine.2" });
  assert.deepEqual(marked, [{ key, own: KEYS.own("mine.2", key), value }]);
  assert.deepEqual(asked[0]?.success.slice(3), [
    { op: "put", key, value },
    { op: "put", key: KEYS.own("mine.2", key), value },
  ]);
});

Deno.test("an entry whose lock is somebody else's goes also where the session is written anew meanwhile", () => {
  const asked: Transaction[] = [];
  const told: (string | undefined)[] = [];
  let epoch = EPOCH;
  const etcd = (transaction: Transaction): Answer => {
    asked.push(transaction);
    if (transaction.success.length > 1) return answer(false, [], [], []);
    // Between the look at the lock and that.
    if (asked.length === 2) epoch = { ...EPOCH, session: 3 };
    return answer(transaction.compare.some((each) => "revision" in each && each.revision === epoch.session));
  };
  const returns = new LockReturns({
    session: {
      id: "mine",
      whenLive: (_until, ready) => ready(epoch),
      ask: (transaction, done) => done(etcd(transaction)),
      doubt: () => assert.fail("everything is answered"),
      moved: ({ session }) => session !== epoch.session,
    },
    keys: KEYS,
    loop: new PlayedTime().loop(),
    tries: new UngrantedTries([], () => {}),
  });
  returns.give(LOCK, undefined, (failure) => told.push(failure ?? "given"));
  assert.deepEqual(told, ["given"]);
  const { compare, success } = asked.at(-1) ?? assert.fail();
  assert.deepEqual(success, [{ op: "delete", key: "own" }]);
  assert.deepEqual(compare[0], { kind: "changed-at", key: "s", revision: 3 });
});

const TOLD = [{ key: "m1", before: "b1", after: "a1" }, { key: "m2", before: "b2", after: "a2" }];

/** What etcd has where a release was refused. */
function refused(lock: string, ...marks: readonly (string | undefined)[]): Answer {
  const entry = (key: string, value: string) => [{ key, value, changedAt: 5 }];
  const found = marks.map((value, place) => value === undefined ? [] : entry(`m${place + 1}`, value));
  return answer(false, [], [], entry(LOCK.key, lock), ...found);
}

Deno.test("with a lock that nobody was granted goes what paused guests were told of it, all at once", () => {
  const { asked, told, compared } = givenUp(TOLD, undefined, { kind: "unknown", reason: "cut" }, DONE);
  const both = [
    ...RELEASE,
    { op: "put", key: "m1", value: "b1" },
    { op: "put", key: "m2", value: "b2" },
  ];
  assert.deepEqual(asked, [both, both]);
  assert.deepEqual(told, ["doubt cut", "given"]);
  assert.deepEqual(compared[0]?.slice(2), [
    { kind: "value", key: LOCK.key, value: "v" },
    { kind: "value", key: "m1", value: "a1" },
    { kind: "value", key: "m2", value: "a2" },
  ]);
});

Deno.test("a mark that has gone, or that another one has changed since, stays as it is", () => {
  const restored = [...RELEASE, { op: "put", key: "m2", value: "b2" }];
  assert.deepEqual(givenUp(TOLD, undefined, refused("v", "another's", "a2"), DONE).asked.slice(1), [
    restored,
  ]);
  assert.deepEqual(givenUp(TOLD, undefined, refused("v", undefined, "a2"), DONE).asked.slice(1), [restored]);
  assert.deepEqual(givenUp(TOLD, undefined, refused("v", undefined, "x"), DONE).asked.slice(1), [RELEASE]);
});

Deno.test("marks stay when the lock is another one's by now, also of the same process", () => {
  const { asked, told } = givenUp(TOLD, undefined, refused("granted since", "a1", "a2"), DONE);
  assert.deepEqual(asked.slice(1), [[{ op: "delete", key: "own" }]]);
  assert.deepEqual(told, ["given"]);
});

Deno.test("a paused guest that gives up its return gets its mark, and others what they were told before", () => {
  const { asked } = givenUp(TOLD, MARK, DONE);
  assert.deepEqual(
    asked[0]?.map((each) => each.op === "put" ? `${each.key} ${each.value.slice(0, 2)}` : each.op),
    [
      "delete",
      "delete",
      "delete",
      'mark {"',
      'own mark {"',
      "m1 b1",
      "m2 b2",
    ],
  );
});

Deno.test("of thousands of releases 64 are under way at once, and one that is refused keeps no other one", () => {
  const time = new PlayedTime();
  const asked: ((answer: Answer) => void)[] = [];
  let given = 0;
  const returns = new LockReturns({
    session: {
      id: "mine",
      whenLive: (_until, ready) => ready(EPOCH),
      ask: (_transaction, done) => void asked.push(done),
      doubt: () => {},
      moved: () => false,
    },
    keys: KEYS,
    loop: time.loop(),
    tries: new UngrantedTries([], () => {}),
  });
  for (let number = 0; number < 3000; number++) returns.give(LOCK, undefined, () => given++);
  assert.deepEqual([asked.length, given], [64, 0]);
  asked[0]?.(DONE);
  assert.deepEqual([asked.length, given], [65, 1]);
  // For a second it waits, and others go on.
  asked[1]?.({ kind: "refused", reason: "permission denied" });
  assert.equal(asked.length, 66);
  for (let next = 2; next < asked.length; next++) asked[next]?.(DONE);
  assert.deepEqual([asked.length, given], [3000, 2999]);
  time.advance();
  assert.equal(asked.length, 3001);
  asked[3000]?.(DONE);
  assert.equal(given, 3000);
});
