import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { KeyValue, Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { Lineage } from "../../../../../src/lockd/cluster/keys/lineage.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import {
  Reconciliation,
  type ReconciliationParts,
} from "../../../../../src/lockd/cluster/reconcile/reconciliation.ts";
import { hasLeft } from "../../../../../src/lockd/cluster/reconcile/lost_marks.ts";
import { HeldLocks } from "../../../../../src/lockd/cluster/reconcile/held_locks.ts";
import { UngrantedTries } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";
import { Orphans } from "../../../../../src/lockd/cluster/locks/orphans.ts";
import type { ClusterLock } from "../../../../../src/lockd/cluster/keys/transactions.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { PlayedTime } from "../../../../support/played_time.ts";
import type { Past } from "../../../../../src/lockd/cluster/session/past.ts";
import type { Owner } from "../../../../../src/lockd/lockspace/owner.ts";
import { LEFT_BEHIND } from "../../../../../src/lockd/cluster/session/doubts.ts";
import { KeptResource, type Resource } from "../../../../../src/lockd/lockspace/resource.ts";
import { resource } from "../../programs/lock_fixture.ts";

const KEYS = new ClusterKeys("prod");
const EPOCH = { sessionKey: KEYS.session("s"), session: 5, metaKey: KEYS.meta, meta: 1 };
const HOLDER = { session: "s", attempt: "a", domain: "d", uuid: "u", start: 9, since: 0 };

/** A host that has no lock, and of which nothing is put into etcd. */
const EMPTY_HOST = {
  keys: KEYS,
  names: new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path),
  granted: { of: () => undefined, adopt: () => assert.fail(), drop: () => assert.fail() },
  resources: () => [],
  paused: () => [],
  nameOfPaused: (path) => new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path).of(path),
  partWith: () => false,
  markOf: () => ({ pid: 0, start: 0 }),
  nonce: () => "own.n",
  lineage: new Lineage("own"),
  tries: { found: () => {} },
} satisfies Partial<ReconciliationParts>;

/** What etcd answers to the question what it has of this host. */
function listed(found: readonly KeyValue[]): Answer {
  const results = [{ found, more: false }];
  return { kind: "transaction", result: { succeeded: true, results, cluster: "1", revision: 6 } };
}

Deno.test("a lock of which nobody knows is kept beyond the end of its process: its last writes may be on their way", () => {
  const own = (name: string) => KEYS.own("s", KEYS.exclusive({ space: "scsi", name }));
  const value = (pid: number) => encodeRecord({ ...HOLDER, pid });
  const asked: Transaction[] = [];
  const [kept, unknown]: [string[], string[]] = [[], []];
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => assert.fail("nothing was changed"),
      ask: (transaction, done) => {
        asked.push(transaction);
        const found = [
          { key: own("gone"), value: value(7), changedAt: 2 },
          { key: own("lives"), value: value(8), changedAt: 3 },
        ];
        done(listed(found));
      },
    },
    ...EMPTY_HOST,
    lives: (pid) => pid === 8,
    turns: { busy: () => false, give: () => assert.fail("a lock was given back") },
    orphans: { add: ({ key }, _holder, use) => void kept.push(`${key} ${use}`), forget: () => {} },
    marks: { add: () => assert.fail("there is no mark") },
    heldLocks: { put: () => assert.fail("nothing is put there") },
    observer: {
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
      clusterUnknown: (key) => void unknown.push(key),
      clusterUnknownShare: () => assert.fail("nothing is shared"),
    },
  });
  let outcome: unknown;
  reconciliation.run(EPOCH, (what) => outcome = what, "known");
  assert.deepEqual(outcome, []);
  assert.equal(asked.length, 1);
  assert.deepEqual(kept, ["/virtlockd/prod/lock/scsi/gone alone", "/virtlockd/prod/lock/scsi/lives alone"]);
  assert.deepEqual(unknown, ["/virtlockd/prod/lock/scsi/lives"]);
});

for (const past of ["known", "missed", "lost"] as const) {
  Deno.test(`what etcd has tells which tries of an earlier daemon came to something (its past: ${past})`, () => {
    const value = encodeRecord({ ...HOLDER, pid: 7 });
    const tries = new UngrantedTries(
      [value, "never came"].map((value) => ({ value, changed: [{ key: "m", before: "b", after: "a" }] })),
      () => {},
    );
    const reconciliation = new Reconciliation({
      session: {
        id: "s",
        moved: () => assert.fail("nothing was changed"),
        ask: (_transaction, done) => done(listed([{ key: KEYS.own("s", KEY), value, changedAt: 2 }])),
      },
      ...EMPTY_HOST,
      lives: () => false,
      turns: { busy: () => false, give: () => assert.fail("a lock was given back") },
      orphans: { add: () => {}, forget: () => {} },
      marks: { add: () => assert.fail("there is no mark") },
      tries,
      heldLocks: { put: () => assert.fail("nothing is put there") },
      observer: {
        clusterRegained: () => assert.fail(),
        clusterKeyUnreadable: () => assert.fail(),
        clusterUnknown: () => assert.fail("its process has ended"),
        clusterUnknownShare: () => assert.fail("nothing is shared"),
      },
    });
    reconciliation.run(EPOCH, (outcome) => assert.deepEqual(outcome, []), past);
    assert.deepEqual(tries.all.map((each) => each.value), past === "known" ? [value] : []);
  });
}

Deno.test("a lock that more guests have been paused with than can be told is not put into etcd", () => {
  const none = { found: [], more: false };
  const marks = {
    found: [{ key: `${KEYS.pausedBelow({ space: "scsi", name: "disk" })}x`, value: "{}", changedAt: 4 }],
    more: true,
  };
  const epoch = [
    { found: [{ key: EPOCH.sessionKey, value: "", changedAt: 5 }], more: false },
    { found: [{ key: EPOCH.metaKey, value: "", changedAt: 1 }], more: false },
  ];
  // The list of what the session has, and the lock that is not taken.
  const answers = [[none], [...epoch, none, none, marks]];
  const owner = { name: "d", uuid: "u", pid: 7, id: 1 };
  const held = resource({ id: 1, lockspace: "/scsi", name: "disk", holdings: [{ owner, since: 5 }] });
  const session: ReconciliationParts["session"] = {
    id: "s",
    moved: () => false,
    ask: (_transaction, done) => {
      const results = answers.shift() ?? assert.fail("it is tried again");
      done({ kind: "transaction", result: { succeeded: false, results, cluster: "1", revision: 6 } });
    },
  };
  const reconciliation = new Reconciliation({
    session,
    ...EMPTY_HOST,
    granted: { ...EMPTY_HOST.granted, adopt: () => {} },
    resources: () => [held],
    markOf: () => ({ pid: 7, start: 9 }),
    lives: () => true,
    turns: { busy: () => false, give: () => assert.fail() },
    orphans: { add: () => assert.fail(), forget: () => {} },
    marks: { add: () => assert.fail() },
    heldLocks: new HeldLocks({ session, keys: KEYS, fencedLocks: { free: () => assert.fail() } }),
    observer: {
      clusterUnknown: () => assert.fail(),
      clusterUnknownShare: () => assert.fail(),
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
    },
  });
  let outcome: unknown;
  reconciliation.run(EPOCH, (what) => outcome = what, "known");
  assert.equal(outcome, "too many guests are paused that have had it");
});

const OWNER = { name: "d", uuid: "u", pid: 7, id: 1 };
const NAME = { space: "scsi", name: "disk" };

const KEY = KEYS.exclusive(NAME);
const SPOILT = { key: KEYS.own("s", KEY), value: "\udcff", changedAt: 2 };

for (const [how, list] of [["taken out of", []], ["spoilt in", [SPOILT]]] as const) {
  Deno.test(`a lock that somebody has ${how} the list by hand is this host's all the same`, () => {
    const key = KEY;
    const value = encodeRecord({ ...HOLDER, pid: 7 });
    const held = resource({
      id: 1,
      lockspace: "/scsi",
      name: "disk",
      holdings: [{ owner: OWNER, since: 0 }],
    });
    const granted = new Map<string, ClusterLock>();
    const reconciliation = new Reconciliation({
      session: { id: "s", moved: () => assert.fail(), ask: (_transaction, done) => done(listed(list)) },
      ...EMPTY_HOST,
      granted: {
        of: (path) => granted.get(path),
        adopt: (path, lock) => void granted.set(path, lock),
        drop: () => assert.fail(),
      },
      resources: () => [held],
      markOf: () => ({ pid: 7, start: 9 }),
      lives: () => true,
      turns: { busy: () => false, give: () => assert.fail() },
      orphans: { add: () => assert.fail(), forget: () => {} },
      marks: { add: () => assert.fail("its guest may be resumed") },
      heldLocks: { put: (_epoch, _held, done) => done({ kind: "others", by: { ...HOLDER, pid: 7 } }) },
      observer: {
        clusterUnknown: () => assert.fail(),
        clusterUnknownShare: () => assert.fail(),
        clusterRegained: () => assert.fail(),
        clusterKeyUnreadable: () => assert.fail(),
      },
    });
    let outcome: unknown;
    reconciliation.run(EPOCH, (what) => outcome = what, "known");
    assert.deepEqual(outcome, []);
    assert.deepEqual([...granted], [["/scsi/disk", { key, own: KEYS.own("s", key), value }]]);
  });
}

Deno.test("a key that cannot be read stays, is told, and keeps no host from joining", () => {
  const own = (name: string) => KEYS.own("s", KEYS.exclusive({ space: "scsi", name }));
  const mark = KEYS.own("s", KEYS.paused(NAME, "s", { pid: 7, start: 9, uuid: "u" }));
  const [kept, wrong]: [string[], string[]] = [[], []];
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => assert.fail("nothing was changed"),
      ask: (_transaction, done) =>
        done(listed([
          { key: own("spoilt"), value: "\udcff", changedAt: 2 },
          { key: mark, value: "{}", changedAt: 2 },
          { key: own("whole"), value: encodeRecord({ ...HOLDER, pid: 8 }), changedAt: 3 },
        ])),
    },
    ...EMPTY_HOST,
    lives: () => false,
    turns: { busy: () => false, give: () => assert.fail("a lock was given back") },
    orphans: { add: ({ key }) => void kept.push(key), forget: () => {} },
    marks: { add: () => assert.fail("it is no mark") },
    heldLocks: { put: () => assert.fail("nothing is put there") },
    observer: {
      clusterRegained: () => assert.fail(),
      clusterUnknown: () => assert.fail(),
      clusterUnknownShare: () => assert.fail(),
      clusterKeyUnreadable: (what) => void wrong.push(what),
    },
  });
  let outcome: unknown;
  reconciliation.run(EPOCH, (what) => outcome = what, "known");
  assert.deepEqual(outcome, []);
  assert.deepEqual(kept, ["/virtlockd/prod/lock/scsi/whole"]);
  const advice = " (docs/cluster-etcd.md says what to do with such a key)";
  assert.deepEqual(wrong, [
    `${own("spoilt")} holds bytes that are no text${advice}`,
    `${mark} has no text as its session${advice}`,
  ]);
});

/** As it stands in the place of an owner that is not known any more. */
const NOBODY = { pid: 0, name: "", uuid: "00000000-0000-0000-0000-000000000000", id: 0 };

const DISK = { space: "scsi", name: "disk" };
const MARK = KEYS.paused(DISK, "s", { uuid: "u", pid: 7, start: 9 });

/**
 * Marks that a host writes of one guest that is paused.
 *
 * @param use who has had its lock since
 * @param found what etcd has of the host
 * @param free whether nobody has the lock in etcd
 */
function marksOf(past: Past, use: Owner | undefined, found: readonly KeyValue[], free = true): string[] {
  return written(past, found, {
    paused: () => [{ path: "/scsi/disk", owner: OWNER, use: use && { owner: use } }],
  }, free);
}

/** Marks that a host writes. @param host what there is on it */
function written(
  past: Past,
  found: readonly KeyValue[],
  host: Partial<ReconciliationParts>,
  free = true,
): string[] {
  const marked: string[] = [];
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => false,
      ask: ({ compare, success }, done) => {
        const isList = success[0]?.op === "list";
        const succeeded = free || !compare.some((each) => "key" in each && each.key === KEYS.exclusive(DISK));
        for (const each of succeeded ? success : []) {
          if (each.op === "put") marked.push(`${each.key} ${each.value}`);
        }
        const answer = listed(isList ? found : []);
        assert.equal(answer.kind, "transaction");
        done({ ...answer, result: { ...answer.result, succeeded } });
      },
    },
    ...EMPTY_HOST,
    markOf: () => ({ pid: 7, start: 9 }),
    lives: () => true,
    turns: { busy: () => false, give: () => assert.fail() },
    orphans: { add: () => assert.fail(), forget: () => {} },
    marks: { add: () => {} },
    heldLocks: { put: () => assert.fail("nothing is put there") },
    observer: {
      clusterUnknown: () => assert.fail(),
      clusterUnknownShare: () => assert.fail(),
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
    },
    ...host,
  });
  reconciliation.run(EPOCH, (outcome) => assert.deepEqual(outcome, []), past);
  return marked;
}

const THERE = [{ key: KEYS.own("s", MARK), value: encodeRecord({ ...HOLDER, pid: 7 }), changedAt: 2 }];
const USED = /^\/virtlockd\/prod\/paused\/scsi\/disk\/s\/7\.9 .*"used":.*not known any more/;

for (
  const [past, use] of [["known", undefined], ["known", OWNER], ["known", NOBODY], ["missed", undefined], [
    "lost",
    undefined,
  ]] as const
) {
  const had = use === undefined ? "" : use === NOBODY ? ", its mark went" : ", a guest of this host had it";
  Deno.test(`a paused guest whose lock others had got is marked unless etcd can tell of all: ${past}${had}`, () => {
    const isMarked = past !== "known" || use === NOBODY;
    const marked = marksOf(past, use, THERE);
    assert.equal(marked.length, isMarked ? 2 : 0);
    if (isMarked) assert.match(marked[0] ?? "", USED);
  });
}

Deno.test("a guest that was paused before its host was a member is marked, and told when somebody has its disk by now", () => {
  const [mark = "", ...more] = marksOf("known", undefined, []);
  assert.ok(mark.startsWith(`${MARK} `), mark);
  assert.equal(more.length, 1);
  assert.doesNotMatch(mark, /"used"/);
  assert.match(marksOf("known", OWNER, [])[0] ?? "", USED);
  assert.match(marksOf("known", undefined, [], false)[0] ?? "", USED);
});

/** What a guest of this host has that is paused. @param parts what is looked at of it */
function hostWith(parts: Partial<Resource>): Partial<ReconciliationParts> {
  const holdings = [{ owner: OWNER, since: 0 }];
  const held = new KeptResource({
    ...resource({ id: 1, lockspace: "/scsi", name: "disk", holdings }),
    ...parts,
  });
  return {
    resources: () => [held],
    partWith: () => {
      if (held.regrant === "leaving") return false;
      held.regrant = "leaving";
      held.state = { kind: "releasing" };
      return true;
    },
  };
}

Deno.test("what a guest got in a resume that failed half-way, before its host was ever a member, nobody else has had", () => {
  const HALF = { regrant: "half-failed" } as const;
  const [mark = "", ...more] = written("first", [], hostWith(HALF));
  assert.ok(mark.startsWith(`${MARK} `), mark);
  assert.equal(more.length, 1);
  assert.doesNotMatch(mark, /"used"/);
  // Of one that was a member somebody has taken it out of etcd.
  assert.match(written("known", [], hostWith(HALF))[0] ?? "", USED);
  // Another host has it by now.
  assert.match(written("first", [], hostWith(HALF), false)[0] ?? "", USED);
});

Deno.test("a host that was made to leave is known by what it has", () => {
  const holdings = [{ owner: OWNER, since: 0 }];
  const held = resource({ id: 1, lockspace: "/scsi", name: "disk", holdings });
  const doubtful = (reason: string) => ({ ...held, state: { kind: "doubtful", reason } }) as const;
  const paused = (use?: Owner) => ({ path: "/scsi/disk", owner: OWNER, use: use && { owner: use } });
  assert.equal(hasLeft([held, doubtful("it could not be unlocked")], [paused(), paused(OWNER)]), false);
  assert.equal(hasLeft([held, doubtful(LEFT_BEHIND)], []), true);
  assert.equal(hasLeft([], [paused(), paused(NOBODY)]), true);
});

Deno.test("a guest whose lock was given up is marked although etcd has failed behind that", () => {
  const leaving = { regrant: "leaving", state: { kind: "releasing" } } as const;
  assert.match(written("known", [], hostWith(leaving))[0] ?? "", USED);
  assert.doesNotMatch(written("first", [], hostWith(leaving))[0] ?? "", /"used"/);
  // Its release has put its mark there.
  assert.deepEqual(written("known", THERE, hostWith(leaving)), []);
  // It has ended, or was never known, so that none is put when it is released.
  assert.deepEqual(written("known", [], { ...hostWith(leaving), lives: () => false }), []);
  assert.deepEqual(written("known", [], { ...hostWith(leaving), markOf: () => ({ pid: 7, start: 0 }) }), []);
});

/**
 * What becomes of a share whose record names a process that has ended, and of which the daemon knows nothing.
 *
 * @param attempt of the record
 * @param held what this host has
 */
function endedSharer(attempt: string, busy: boolean, held: readonly Resource[] = []) {
  // The record names the first of two who share it, and nothing names the second one, which goes on.
  const [FIRST, SECOND] = [7, 8];
  const time = new PlayedTime();
  const share = KEYS.share({ space: "scsi", name: "disk" }, "s");
  const [told, given]: [string[], string[]] = [[], []];
  const lives = (pid: number) => pid === SECOND;
  const orphans = new Orphans({
    give: ({ key }) => void given.push(key),
    busy: () => busy,
    whenGone: () => {},
    loop: time.loop(),
    lives,
    lastWrites: { look: () => undefined, judge: (_sight, done) => done({ kind: "over" }) },
  });
  const value = encodeRecord({ ...HOLDER, attempt, pid: FIRST });
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => assert.fail("nothing was changed"),
      ask: (_transaction, done) => done(listed([{ key: KEYS.own("s", share), value, changedAt: 2 }])),
    },
    ...EMPTY_HOST,
    resources: () => held,
    lives,
    turns: { busy: () => busy, give: () => assert.fail("it is given back behind what is under way") },
    orphans,
    marks: { add: () => assert.fail("there is no mark") },
    heldLocks: { put: () => assert.fail("nothing is put there") },
    observer: {
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
      clusterUnknown: () => assert.fail("its process has ended"),
      clusterUnknownShare: (key) => void told.push(key),
    },
  });
  reconciliation.run(EPOCH, (outcome) => assert.deepEqual(outcome, []), "known");
  for (let look = 0; look < 100; look++) time.advance();
  return { told, given, use: orphans.useOf(share), share };
}

for (const busy of [false, true]) {
  const how = busy ? "another guest asks for it already" : "nobody asks for it";
  Deno.test(`two guests share a lock, the first one ends, the daemon loses its state: the share stays, ${how}`, () => {
    const { told, given, use, share } = endedSharer("lost.a", busy);
    assert.deepEqual([given, use, told], [[], "shared", busy ? [] : [share]]);
  });
}

Deno.test("a share that the daemon before was killed in taking goes with its process: it was nobody else's", () => {
  const { told, given, use, share } = endedSharer("own.a", false);
  assert.deepEqual([given, use, told], [[share], undefined, []]);
});

Deno.test("a share that is just being taken stays, though its process has ended: others of its host may have joined", () => {
  const { given, use } = endedSharer("own.a", true);
  assert.deepEqual([given, use], [[], "alone"]);
});

Deno.test("a share stays while this host has one of which it cannot be told what it is called: it may be that", () => {
  const holdings = [{ owner: OWNER, since: 0 }];
  const nameless = (shared: boolean) =>
    resource({ id: 1, lockspace: "", name: "/dev/sda", shared, holdings });
  const { told, given, use, share } = endedSharer("own.a", false, [nameless(true)]);
  assert.deepEqual([given, use, told], [[], "shared", [share]]);
  // What a guest has for itself is no share.
  assert.deepEqual(endedSharer("own.a", false, [nameless(false)]).given, [share]);
});

/** Puts locks of this host into etcd, where there is none of them. @param put what becomes of one */
function puts(
  held: readonly Resource[],
  granted: Map<string, ClusterLock>,
  given: string[],
  put: ReconciliationParts["heldLocks"]["put"],
): unknown {
  let outcome: unknown;
  new Reconciliation({
    session: { id: "s", moved: () => assert.fail(), ask: (_transaction, done) => done(listed([])) },
    ...EMPTY_HOST,
    granted: {
      of: (path) => granted.get(path),
      adopt: (path, lock) => void granted.set(path, lock),
      drop: (path) => void granted.delete(path),
    },
    resources: () => held,
    markOf: () => ({ pid: 7, start: 9 }),
    lives: () => true,
    turns: { busy: () => false, give: (lock) => void given.push(lock.value) },
    orphans: { add: () => assert.fail(), forget: () => {} },
    marks: { add: () => assert.fail("no guest is paused") },
    heldLocks: { put },
    observer: {
      clusterUnknown: () => assert.fail(),
      clusterUnknownShare: () => assert.fail(),
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
    },
  }).run(EPOCH, (what) => outcome = what, "known");
  return outcome;
}

/** Locks of guests, that are no shares. */
function heldDisks(count: number): Resource[] {
  return Array.from(
    { length: count },
    (_, id) =>
      resource({ id, lockspace: "/scsi", name: `disk${id}`, holdings: [{ owner: OWNER, since: 0 }] }),
  );
}

Deno.test("a lock that is released while it is put into etcd is found there by its release", () => {
  const [disk] = heldDisks(1);
  if (disk === undefined) assert.fail();
  const granted = new Map<string, ClusterLock>();
  const outcome = puts([disk], granted, [], (_epoch, { key, own, holder }, done) => {
    const lock = { key, own, value: encodeRecord(holder) };
    // What its release gives back, which goes by what is granted now.
    assert.deepEqual(granted.get("/scsi/disk0"), lock);
    disk.state = { kind: "releasing" };
    granted.clear();
    done({ kind: "put", lock });
  });
  assert.deepEqual([outcome, granted.size], [[], 0]);
});

Deno.test("a lock that is released while others are put into etcd is not put there", () => {
  const disks = heldDisks(65);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const outcome = puts(disks, new Map(), [], (_epoch, { key, own, holder }, done) => {
    begun.push(key);
    ends.push(() => done({ kind: "put", lock: { key, own, value: encodeRecord(holder) } }));
  });
  assert.deepEqual([outcome, begun.length], [undefined, 64]);
  const last = disks[64] ?? assert.fail();
  last.state = { kind: "releasing" };
  for (const end of ends) end();
  assert.equal(begun.length, 64);
});

Deno.test("a lock that is found for its guest when that has ended meanwhile is given back", () => {
  const [disk] = heldDisks(1);
  if (disk === undefined) assert.fail();
  const given: string[] = [];
  const granted = new Map<string, ClusterLock>();
  let there = "";
  puts([disk], granted, given, (_epoch, { holder }, done) => {
    disk.state = { kind: "releasing" };
    granted.clear();
    const by = { ...holder, attempt: "another.n" };
    there = encodeRecord(by);
    done({ kind: "others", by });
  });
  assert.deepEqual([given, granted.size], [[there], 0]);
});

/**
 * What becomes of a share in etcd that guests of this host have.
 *
 * @param attempt of its record
 * @param meanwhile what happens while etcd is asked
 */
function avowed(attempt: string, meanwhile: (held: Resource, granted: Map<string, ClusterLock>) => void) {
  const key = KEYS.share(NAME, "s");
  const own = KEYS.own("s", key);
  const holder = { session: "s", attempt, domain: "d", uuid: "u", pid: 7, start: 9, since: 0 };
  const value = encodeRecord(holder);
  const holdings = [{ owner: OWNER, since: 0 }];
  const held = resource({ id: 1, lockspace: "/scsi", name: "disk", shared: true, holdings });
  const granted = new Map<string, ClusterLock>();
  const given: string[] = [];
  const written: unknown[] = [];
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => assert.fail(),
      ask: (transaction, done) => {
        const puts = transaction.success.filter(({ op }) => op === "put");
        if (puts.length === 0) return done(listed([{ key: own, value, changedAt: 2 }]));
        written.push(transaction.compare.at(-1), ...puts);
        meanwhile(held, granted);
        done(listed([]));
      },
    },
    ...EMPTY_HOST,
    granted: {
      of: (path) => granted.get(path),
      adopt: (path, lock) => void granted.set(path, lock),
      drop: () => assert.fail(),
    },
    resources: () => [held],
    markOf: () => ({ pid: 7, start: 9 }),
    lives: () => true,
    turns: { busy: () => false, give: (lock) => void given.push(lock.value) },
    orphans: { add: () => assert.fail(), forget: () => {} },
    marks: { add: () => assert.fail("its guest may be resumed") },
    heldLocks: { put: () => assert.fail("it is there") },
    observer: {
      clusterUnknown: () => assert.fail(),
      clusterUnknownShare: () => assert.fail(),
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
    },
  });
  reconciliation.run(EPOCH, (outcome) => assert.deepEqual(outcome, []), "known");
  const anew = encodeRecord({ ...holder, attempt: "own.n" });
  return { key, own, value, anew, granted: granted.get("/scsi/disk")?.value, given, written };
}

Deno.test("a share that guests have is this daemon's own from now on, where another one has taken it", () => {
  const { key, own, value, anew, granted, given, written } = avowed("other.a", () => {});
  assert.deepEqual([granted, given], [anew, []]);
  const puts = [key, own].map((each) => ({ op: "put", key: each, value: anew }));
  assert.deepEqual(written, [{ kind: "value", key, value }, ...puts]);
  const before = avowed("own.a", () => assert.fail("nothing is written"));
  assert.deepEqual([before.granted, before.written], [before.value, []]);
});

Deno.test("a share whose last guest ends while it is made this daemon's own is given back as it is then", () => {
  for (
    const end of [
      (held: Resource) => held.state = { kind: "releasing" },
      (_held: Resource, granted: Map<string, ClusterLock>) => granted.clear(),
    ]
  ) {
    const { anew, granted, given } = avowed("other.a", end);
    assert.deepEqual(given, [anew]);
    assert.notEqual(granted, anew);
  }
});

Deno.test("a host that shares thousands of disks has put them in once, and not again for each of them", () => {
  const names = Array.from({ length: 2000 }, (_, index) => `disk${index}`);
  const value = encodeRecord({ ...HOLDER, attempt: "own.a", pid: 7 });
  const found = names.map((name) => ({
    key: KEYS.own("s", KEYS.share({ space: "scsi", name }, "s")),
    value,
    changedAt: 2,
  }));
  const held = names.map((name, index) =>
    resource({
      id: index + 1,
      lockspace: "/scsi",
      name,
      shared: true,
      holdings: [{ owner: OWNER, since: 0 }],
    })
  );
  let adopted = 0;
  const reconciliation = new Reconciliation({
    session: { id: "s", moved: () => assert.fail(), ask: (_transaction, done) => done(listed(found)) },
    ...EMPTY_HOST,
    granted: { of: () => undefined, adopt: () => void adopted++, drop: () => assert.fail() },
    resources: () => held,
    markOf: () => ({ pid: 7, start: 9 }),
    lives: () => true,
    turns: { busy: () => false, give: () => assert.fail() },
    orphans: { add: () => assert.fail(), forget: () => {} },
    marks: { add: () => assert.fail() },
    heldLocks: { put: () => assert.fail("etcd has all of them") },
    observer: {
      clusterUnknown: () => assert.fail(),
      clusterUnknownShare: () => assert.fail(),
      clusterRegained: () => assert.fail(),
      clusterKeyUnreadable: () => assert.fail(),
    },
  });
  const outcomes: unknown[] = [];
  reconciliation.run(EPOCH, (outcome) => void outcomes.push(outcome), "known");
  assert.deepEqual([adopted, outcomes], [2000, [[]]]);
});
