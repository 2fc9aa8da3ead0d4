import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { AskLimit } from "../../../../../src/lockd/cluster/locks/ask_limit.ts";
import {
  ClusterLocks,
  type ClusterLocksParts,
} from "../../../../../src/lockd/cluster/locks/cluster_locks.ts";
import { LockTurns, type LockTurnsParts } from "../../../../../src/lockd/cluster/locks/lock_turns.ts";
import { UngrantedTries } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";
import type { Taken } from "../../../../../src/lockd/cluster/locks/wanted_lock.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { foundIn } from "../../../../../src/lockd/cluster/etcd/etcd.ts";
import { WrittenMarks } from "../../../../../src/lockd/cluster/reconcile/written_marks.ts";
import {
  type ClusterLock,
  EPOCH_READS,
  obstaclesOf,
  read,
} from "../../../../../src/lockd/cluster/keys/transactions.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
/** No other host has to do with the lock, nor anybody else of this one. */
const ALONE = {
  held: () => false,
  host: "kvm1",
  silent: () => assert.fail("no other host has it"),
  wants: { ask: () => assert.fail("no other host is asked") },
  marks: { add: () => {}, gone: () => {} },
  fencedLocks: { free: () => assert.fail("nobody was fenced") },
};
const NAME = { space: "scsi", name: "disk" };
const FULL: Answer = { kind: "full", reason: "etcd is full" };

/** How long who asks waits for etcd. */
function limitIn(time: PlayedTime, milliseconds = 5000): AskLimit {
  return new AskLimit({ loop: time.loop(), clock: () => time.now }, milliseconds);
}

/** Locks, and what is done to their keys in turn. */
function locksOf(
  parts:
    & Omit<ClusterLocksParts, "turns" | "tries" | "recorded">
    & Pick<LockTurnsParts, "session" | "marks">
    & Partial<Pick<ClusterLocksParts, "recorded">>,
  tries = new UngrantedTries([], () => {}),
) {
  const all = { recorded: (go: () => void) => go(), ...parts, tries };
  const turns = new LockTurns({ ...all, nonce: parts.lineage.attempt });
  return { turns, locks: new ClusterLocks({ ...all, turns }) };
}

/** Takes a lock. @param answer what becomes of a transaction: the answer, and whether etcd carries it out */
function taken(answer: (transaction: Transaction, etcd: PlayedEtcd) => Answer) {
  const etcd = new PlayedEtcd("none");
  etcd.put("s", "session");
  etcd.put("m", "meta");
  const told: Taken[] = [];
  const doubts: string[] = [];
  const { locks } = locksOf({
    session: {
      id: "mine",
      whenLive: (_until, ready) => ready({ sessionKey: "s", session: 2, metaKey: "m", meta: 3 }),
      ask: (transaction, done) => done(answer(transaction, etcd)),
      doubt: (reason) => void doubts.push(reason),
      moved: () => assert.fail("nothing has moved"),
    },
    keys: KEYS,
    lineage: { attempt: () => "n", wrote: () => true },
    loop: new PlayedTime().loop(),
    clock: () => 0,
    lives: () => assert.fail(),
    orphans: () => ({ useOf: () => assert.fail(), forget: () => {}, add: () => assert.fail() }),
    held: () => assert.fail(),
    host: "h",
    names: { name: () => assert.fail() },
    wants: { ask: () => assert.fail() },
    marks: { add: () => assert.fail(), gone: () => assert.fail() },
    fencedLocks: { free: () => assert.fail() },
    silent: () => assert.fail(),
  });
  const holder = { domain: "d", uuid: "u", pid: 7, start: 9, since: 0 };
  const wanted = { name: NAME, shared: false, holder, resumed: () => true, limit: limitIn(new PlayedTime()) };
  locks.take(wanted, (outcome) => void told.push(outcome));
  return { told, doubts, inEtcd: etcd.keys("scsi") };
}

function writes({ success }: Transaction): boolean {
  return success.some(({ op }) => op === "put");
}

function applied(transaction: Transaction, etcd: PlayedEtcd): Answer {
  return etcd.apply({ kind: "transaction", transaction }, 0);
}

Deno.test("a lock that a full etcd has written all the same is taken: it says so when it is asked", () => {
  const { told, doubts, inEtcd } = taken((transaction, etcd) => {
    const answer = applied(transaction, etcd);
    return writes(transaction) ? FULL : answer;
  });
  assert.deepEqual(told.map(({ kind }) => kind), ["taken"]);
  assert.deepEqual(inEtcd, ["/virtlockd/test/lock/scsi/disk", "/virtlockd/test/own/mine/lock/scsi/disk"]);
  assert.deepEqual(doubts, []);
});

Deno.test("a lock that a full etcd has not written is refused, and the session is left alone", () => {
  const { told, doubts, inEtcd } = taken((transaction, etcd) =>
    writes(transaction) ? FULL : applied(transaction, etcd)
  );
  assert.deepEqual(told, [{ kind: "failed", reason: "etcd is full" }]);
  assert.deepEqual([inEtcd, doubts], [[], []]);
});

Deno.test("where a full etcd cannot be asked what it has done, that is found out after a bump", () => {
  let reads = 0;
  const { told, doubts } = taken((transaction, etcd) => {
    const answer = applied(transaction, etcd);
    if (writes(transaction)) return FULL;
    return reads++ === 0 ? { kind: "unknown", reason: "no answer" } : answer;
  });
  assert.deepEqual([told.map(({ kind }) => kind), doubts], [["taken"], ["no answer"]]);
});

const EPOCH = { sessionKey: KEYS.session("s"), session: 5, metaKey: KEYS.meta, meta: 1 };
const HOLDER = { domain: "web", uuid: "u-web", pid: 7, start: 9, since: 0 };

for (const shared of [true, false]) {
  const how = shared ? "shared" : "alone";
  Deno.test(`a share that nobody knows is not taken over, not even by who is named in it, who asks for it ${how}`, () => {
    const key = KEYS.share(NAME, "s");
    const value = encodeRecord({ session: "s", attempt: "a", ...HOLDER });
    const empty = { found: [], more: false };
    const there = { found: [{ key, value, changedAt: 3 }], more: false };
    // The asker's own share, or those that are in the way of who wants it alone.
    const results = [...Array.from({ length: EPOCH_READS }, () => empty), empty, there];
    let asked = 0;
    const { locks } = locksOf({
      session: {
        id: "s",
        whenLive: (_until, go) => go(EPOCH),
        moved: () => false,
        doubt: () => assert.fail("etcd has answered"),
        ask: (_transaction, done) => {
          asked++;
          assert.equal(asked, 1, "it is refused at once");
          done({ kind: "transaction", result: { succeeded: false, results, cluster: "1", revision: 6 } });
        },
      },
      keys: KEYS,
      names: { name: () => assert.fail("it is this host's") },
      lineage: { attempt: () => "n", wrote: () => true },
      loop: new PlayedTime().loop(),
      clock: () => 0,
      lives: () => true,
      orphans: () => ({
        useOf: (each) => each === key ? "shared" : undefined,
        forget: () => assert.fail("it was not granted"),
        add: () => assert.fail("it is kept already"),
      }),
      held: () => false,
      host: "kvm1",
      wants: { ask: () => assert.fail("no other host is asked") },
      marks: { add: () => {}, gone: () => {} },
      fencedLocks: { free: () => assert.fail("nobody was fenced") },
      silent: () => assert.fail("every host is heard of"),
    });
    const taken: Taken[] = [];
    const wanted = {
      name: NAME,
      shared,
      holder: HOLDER,
      resumed: () => true,
      limit: limitIn(new PlayedTime()),
    };
    locks.take(wanted, (each) => taken.push(each));
    const by = {
      kind: "host",
      host: "kvm1",
      shared: true,
      domain: "web",
      uuid: "u-web",
      pid: 7,
      since: 0,
    } as const;
    assert.deepEqual(taken, [{ kind: "held", by }]);
  });
}

for (const came of [true, false]) {
  const how = came ? "comes late" : "never comes";
  Deno.test(`what etcd has for a paused guest stays when the guest asks again, and the answer ${how}`, () => {
    const etcd = new PlayedEtcd("none");
    etcd.put(EPOCH.sessionKey, "session");
    etcd.put(EPOCH.metaKey, "meta");
    const key = KEYS.exclusive(NAME);
    const own = KEYS.own("s", key);
    const before = encodeRecord({ session: "s", attempt: "before", ...HOLDER });
    for (const each of [key, own]) etcd.put(each, before);
    let replaced = false;
    const kept: string[] = [];
    const doubts: string[] = [];
    const { locks, turns } = locksOf({
      session: {
        id: "s",
        // As long as the guest waits etcd does not answer any more.
        whenLive: (until, ready, failed) => {
          if (replaced && until !== Infinity) return failed("etcd does not answer");
          ready({ ...EPOCH, session: 2, meta: 3 });
        },
        moved: () => false,
        doubt: (reason) => void doubts.push(reason),
        ask: (transaction, done) => {
          const replaces = writes(transaction) && transaction.compare.length === 3;
          replaced ||= replaces;
          if (replaces && came) applied(transaction, etcd);
          done(replaces ? { kind: "unknown", reason: "no answer" } : applied(transaction, etcd));
        },
      },
      keys: KEYS,
      names: { name: () => assert.fail("it is this host's") },
      lineage: { attempt: () => "again", wrote: () => true },
      loop: new PlayedTime().loop(),
      clock: () => 0,
      lives: () => true,
      orphans: () => ({
        useOf: (each) => each === key ? "alone" : undefined,
        forget: () => assert.fail("it was not granted"),
        add: (lock, { attempt }, use) => void kept.push(`${lock.key} ${attempt} ${use}`),
      }),
      held: () => false,
      host: "kvm1",
      silent: () => assert.fail("no other host has it"),
      wants: { ask: () => assert.fail("no other host is asked") },
      marks: { add: () => assert.fail("there is no mark"), gone: () => {} },
      fencedLocks: { free: () => assert.fail("nobody was fenced") },
    });
    const told: Taken[] = [];
    locks.take({
      name: NAME,
      shared: false,
      holder: HOLDER,
      resumed: () => true,
      limit: limitIn(new PlayedTime()),
    }, (taken) => {
      told.push(taken);
    });
    assert.deepEqual(told, [{ kind: "failed", reason: "no answer" }]);
    const now = came ? encodeRecord({ session: "s", attempt: "again", ...HOLDER }) : before;
    assert.deepEqual([etcd.get(key), etcd.get(own)], [now, now]);
    // Whoever keeps it has to know the record that is there, to give it back when the guest has ended.
    assert.deepEqual([kept, doubts], [came ? [`${key} again alone`] : [], ["no answer"]]);
    assert.equal(turns.releasing, 0);
  });
}

for (const away of [true, false]) {
  const how = away ? "while etcd is away" : "that takes long";
  Deno.test(`whoever asks for a lock waits for its release ${how}, and not for ever`, () => {
    const time = new PlayedTime();
    const asked: (() => void)[] = [];
    const { locks, turns } = locksOf({
      session: {
        id: "s",
        whenLive: (until, ready, failed) => {
          if (!away || until === Infinity) return ready(EPOCH);
          failed("etcd has not answered");
        },
        moved: () => false,
        doubt: () => assert.fail("nothing is answered"),
        ask: (_transaction, done) => void asked.push(() => done({ kind: "refused", reason: "no" })),
      },
      keys: KEYS,
      names: { name: () => assert.fail("it is not looked at") },
      lineage: { attempt: () => "n", wrote: () => true },
      loop: time.loop(),
      clock: () => time.now,
      lives: () => true,
      orphans: () => ({ useOf: () => undefined, forget: () => assert.fail(), add: () => assert.fail() }),
      ...ALONE,
    });
    const key = KEYS.exclusive(NAME);
    turns.give({ key, own: KEYS.own("s", key), value: "v" }, () => assert.fail("it is not given back"));
    const told: [number, Taken][] = [];
    locks.take(
      { name: NAME, shared: false, holder: HOLDER, resumed: () => true, limit: limitIn(time, 4000) },
      (taken) => {
        told.push([time.now, taken]);
      },
    );
    for (let step = 0; step < 10; step++) time.advance();
    const reason = away
      ? "etcd has not answered"
      : "what was begun with it before, as its release, has not come to its end";
    assert.deepEqual(told, [[away ? 0 : 4000, { kind: "failed", reason }]]);
    // Only the release was ever put to etcd.
    assert.equal(asked.length, 1);
  });
}

/** A host whose first try to get a lock etcd answers when the test says so. */
function slowEtcd(before?: string) {
  const time = new PlayedTime();
  const etcd = new PlayedEtcd("none");
  etcd.put(EPOCH.sessionKey, "session");
  etcd.put(EPOCH.metaKey, "meta");
  const key = KEYS.exclusive(NAME);
  if (before !== undefined) { for (const each of [key, KEYS.own("s", key)]) etcd.put(each, before); }
  const told: [number, Taken][] = [];
  const kept: string[] = [];
  const doubts: string[] = [];
  const state = { asked: 0, answer: undefined as ((answer?: Answer) => void) | undefined };
  const { locks, turns } = locksOf({
    session: {
      id: "s",
      whenLive: (_until, ready) => ready({ ...EPOCH, session: 2, meta: 3 }),
      moved: () => false,
      doubt: (reason) => void doubts.push(reason),
      ask: (transaction, done) => {
        state.asked++;
        const tries = before === undefined
          ? transaction.compare.length > 2
          : transaction.compare.length === 3;
        if (!tries || !writes(transaction) || state.answer !== undefined) {
          return done(applied(transaction, etcd));
        }
        state.answer = (answer) => {
          // With another answer it was lost, and what was asked is done.
          const done_ = applied(transaction, etcd);
          done(answer ?? done_);
        };
      },
    },
    keys: KEYS,
    names: { name: () => assert.fail("it is this host's") },
    lineage: { attempt: () => "late", wrote: () => true },
    loop: time.loop(),
    clock: () => time.now,
    lives: () => true,
    orphans: () => ({
      useOf: () => before === undefined ? undefined : "alone",
      forget: () => assert.fail("it was not granted"),
      add: (lock, { attempt }, use) => void kept.push(`${lock.key} ${attempt} ${use}`),
    }),
    held: () => false,
    host: "kvm1",
    silent: () => assert.fail("no other host has it"),
    wants: { ask: () => assert.fail("no other host is asked") },
    marks: { add: () => assert.fail("there is no mark"), gone: () => {} },
    fencedLocks: { free: () => assert.fail("nobody was fenced") },
  });
  const take = (milliseconds: number) =>
    locks.take(
      { name: NAME, shared: false, holder: HOLDER, resumed: () => true, limit: limitIn(time, milliseconds) },
      (taken) => void told.push([time.now, taken]),
    );
  return { time, told, kept, doubts, state, turns, take, etcd, key };
}

const TOO_LATE: Taken = { kind: "failed", reason: "etcd has not answered within storage_timeout" };

for (const lost of [false, true]) {
  const how = lost ? "whose answer is lost" : "that etcd grants later";
  Deno.test(`who asks is refused when the time is over, and a lock ${how} is given back`, () => {
    const { time, told, doubts, state, turns, take, etcd } = slowEtcd();
    take(1000);
    time.advance();
    assert.deepEqual(told, [[1000, TOO_LATE]]);
    // Whoever asks for it meanwhile has to wait for what becomes of it.
    take(1000);
    time.advance();
    const reason = "what was begun with it before, as its release, has not come to its end";
    while (told.length < 2) time.advance();
    assert.deepEqual(told[1], [2000, { kind: "failed", reason }]);
    assert.deepEqual([state.asked, etcd.keys("scsi")], [1, []]);
    state.answer?.(lost ? { kind: "unknown", reason: "no answer" } : undefined);
    assert.deepEqual([told.length, doubts, etcd.keys("scsi")], [2, lost ? ["no answer"] : [], []]);
    assert.equal(turns.releasing, 0);
    // It was there: two questions at least were put for it.
    assert.ok(state.asked >= 2);
  });
}

Deno.test("a lock that takes the place of a living process's, too late, is kept for that process", () => {
  const before = encodeRecord({ session: "s", attempt: "before", ...HOLDER });
  const { time, told, kept, state, take, etcd, key } = slowEtcd(before);
  take(1000);
  time.advance();
  assert.deepEqual([told, kept], [[[1000, TOO_LATE]], []]);
  state.answer?.();
  assert.deepEqual([told.length, kept], [1, [`${key} late alone`]]);
  assert.equal(etcd.get(key), encodeRecord({ session: "s", attempt: "late", ...HOLDER }));
});

Deno.test("what cannot be answered in time is not asked for", () => {
  const { told, state, take } = slowEtcd();
  take(99);
  assert.deepEqual(told, [[0, { kind: "failed", reason: "nothing of storage_timeout is left to ask etcd" }]]);
  assert.equal(state.asked, 0);
});

/**
 * A host whose daemon takes a lock that a guest of another host was paused with.
 *
 * @param tries what its journal has of tries that were granted to nobody
 * @param there what etcd has for this host already
 */
function taker(tries: UngrantedTries, there?: string) {
  const etcd = new PlayedEtcd("none");
  etcd.put(EPOCH.sessionKey, "session");
  etcd.put(EPOCH.metaKey, "meta");
  const key = KEYS.exclusive(NAME);
  if (there !== undefined) { for (const each of [key, KEYS.own("s", key)]) etcd.put(each, there); }
  const mark = KEYS.paused(NAME, "source", { pid: 3, start: 4, uuid: "u-web" });
  const paused = {
    session: "source",
    attempt: "m",
    domain: "web",
    uuid: "u-web",
    pid: 3,
    start: 4,
    since: 0,
  };
  etcd.put(mark, encodeRecord(paused));
  let attempt = 0;
  const steps: string[] = [];
  const { locks, turns } = locksOf({
    session: {
      id: "s",
      whenLive: (_until, ready) => ready({ ...EPOCH, session: 2, meta: 3 }),
      moved: () => false,
      doubt: () => assert.fail("everything is answered"),
      ask: (transaction, done) => {
        if (writes(transaction)) steps.push("etcd is asked");
        done(applied(transaction, etcd));
      },
    },
    keys: KEYS,
    names: { name: () => assert.fail("nobody is named") },
    lineage: { attempt: () => `n${++attempt}`, wrote: () => true },
    loop: new PlayedTime().loop(),
    clock: () => 0,
    lives: () => true,
    orphans: () => ({ useOf: () => "alone", forget: () => {}, add: () => assert.fail("it is granted") }),
    ...ALONE,
    recorded: (go) => {
      steps.push(`the journal has ${tries.all.length}`);
      go();
    },
  }, tries);
  const taken: Taken[] = [];
  locks.take(
    { name: NAME, shared: false, holder: HOLDER, resumed: () => true, limit: limitIn(new PlayedTime()) },
    (each) => taken.push(each),
  );
  const lock = { key, own: KEYS.own("s", key), value: etcd.get(key) ?? "" };
  const used = () => JSON.parse(etcd.get(mark) ?? "{}").used?.pid;
  const give = () => turns.give(lock, () => {});
  return { etcd, mark, paused: encodeRecord(paused), steps, taken, lock, used, give };
}

Deno.test("a try that tells paused guests is in the journal before etcd is asked, and until it is granted", () => {
  const tries = new UngrantedTries([], () => {});
  const { mark, paused, steps, taken, lock, used } = taker(tries);
  assert.deepEqual([taken.map(({ kind }) => kind), used()], [["taken"], 7]);
  // The first question finds the mark; nobody is told by that.
  assert.deepEqual(steps, ["etcd is asked", "the journal has 1", "etcd is asked"]);
  const told = { ...JSON.parse(paused), used: { session: "s", ...HOLDER } };
  const changed = [{ key: mark, before: paused, after: JSON.stringify(told) }];
  assert.deepEqual(tries.all, [{ value: lock.value, changed }]);
});

Deno.test("what nobody was granted is given back by the next daemon with what it has told, and else it stays told", () => {
  for (const granted of [false, true]) {
    const tries = new UngrantedTries([], () => {});
    const { etcd, mark, paused, lock, used, give } = taker(tries);
    // Whoever has granted it has said so first.
    if (granted) tries.end(lock.value);
    give();
    assert.deepEqual(etcd.keys("/lock/"), []);
    if (granted) assert.equal(used(), 7);
    else assert.equal(etcd.get(mark), paused);
    assert.deepEqual(tries.all, []);
  }
});

Deno.test("what takes the place of a lock that may have been granted was not granted to nobody", () => {
  const there = encodeRecord({ session: "s", attempt: "before", ...HOLDER });
  const tries = new UngrantedTries([], () => {});
  const { etcd, mark, taken, lock, give } = taker(tries, there);
  assert.deepEqual(taken, [{ kind: "taken", lock, changed: [] }]);
  assert.notEqual(lock.value, there);
  const told = "as the lock before has told it";
  etcd.put(mark, told);
  give();
  assert.deepEqual([tries.all, etcd.get(mark), etcd.keys("/lock/")], [[], told, []]);
});

Deno.test("what takes the place of a lock that nobody was granted takes back what that has told, when it is not granted either", () => {
  const there = encodeRecord({ session: "s", attempt: "before", ...HOLDER });
  const changed = [{
    key: KEYS.paused(NAME, "source", { pid: 3, start: 4, uuid: "u-web" }),
    before: "before",
    after: "after",
  }];
  const tries = new UngrantedTries([{ value: there, changed }], () => {});
  const { etcd, mark, taken, steps, lock, give } = taker(tries, there);
  assert.deepEqual(taken, [{ kind: "taken", lock, changed }]);
  assert.deepEqual(steps, ["etcd is asked", "the journal has 2", "etcd is asked"]);
  assert.deepEqual(tries.all, [{ value: lock.value, changed }]);
  etcd.put(mark, "after");
  give();
  assert.deepEqual([tries.all, etcd.get(mark), etcd.keys("/lock/")], [[], "before", []]);
});

/** A host joins on which a guest is paused. */
function join(etcd: PlayedEtcd, mark: ClusterLock): void {
  etcd.put(KEYS.session("joining"), "session");
  const { changedAt: session = 0 } = foundIn(applied(read(KEYS.session("joining")), etcd))[0] ?? {};
  const epoch = { sessionKey: KEYS.session("joining"), session, metaKey: EPOCH.metaKey, meta: 3 };
  const written = new WrittenMarks({
    session: { ask: (transaction, done) => done(applied(transaction, etcd)), moved: () => false },
    marks: { add: () => {} },
  });
  written.fresh(epoch, { mark, obstacles: obstaclesOf(KEYS, NAME, false) }, (failure) => {
    assert.equal(failure, undefined);
  });
}

Deno.test("a guest is told whose host marks it while its lock is being taken: whoever takes it goes over all marks", () => {
  const etcd = new PlayedEtcd("none");
  etcd.put(EPOCH.sessionKey, "session");
  etcd.put(EPOCH.metaKey, "meta");
  const paused = (session: string, pid: number) => {
    const guest = { session, attempt: "m", domain: `web${pid}`, uuid: `u${pid}`, pid, start: 4, since: 0 };
    const key = KEYS.paused(NAME, session, guest);
    return { key, own: KEYS.own(session, key), value: encodeRecord(guest) };
  };
  const first = paused("source", 3);
  const second = paused("joining", 5);
  for (const key of [first.key, first.own]) etcd.put(key, first.value);
  const epoch = { ...EPOCH, session: 2, meta: 3 };
  let tries = 0;
  const { locks } = locksOf({
    session: {
      id: "s",
      whenLive: (_until, ready) => ready(epoch),
      moved: () => false,
      doubt: () => assert.fail("everything is answered"),
      ask: (transaction, done) => {
        // It has gone over the marks by then, and another host joins.
        if (writes(transaction) && ++tries === 2) join(etcd, second);
        done(applied(transaction, etcd));
      },
    },
    keys: KEYS,
    names: { name: () => assert.fail("nobody is named") },
    lineage: { attempt: () => `n${tries}`, wrote: () => true },
    loop: new PlayedTime().loop(),
    clock: () => 0,
    lives: () => true,
    orphans: () => ({ useOf: () => undefined, forget: () => {}, add: () => assert.fail("it is granted") }),
    ...ALONE,
  });
  const taken: Taken[] = [];
  locks.take(
    { name: NAME, shared: false, holder: HOLDER, resumed: () => true, limit: limitIn(new PlayedTime()) },
    (each) => taken.push(each),
  );
  assert.deepEqual(taken.map(({ kind }) => kind), ["taken"]);
  const used = ({ key }: { readonly key: string }) => JSON.parse(etcd.get(key) ?? "{}").used?.pid;
  assert.deepEqual([used(first), used(second)], [7, 7]);
});
