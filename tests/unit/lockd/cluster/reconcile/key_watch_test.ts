import assert from "node:assert/strict";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import { GrantedLocks } from "../../../../../src/lockd/cluster/locks/granted_locks.ts";
import { KeyQueues } from "../../../../../src/lockd/cluster/locks/key_queues.ts";
import { KeyCheck } from "../../../../../src/lockd/cluster/reconcile/key_check.ts";
import { KeyWatch } from "../../../../../src/lockd/cluster/reconcile/key_watch.ts";
import type { Watched } from "../../../../../src/lockd/cluster/session/session_etcd.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const SESSION = "mine";
const EPOCH = { sessionKey: "s", session: 2, metaKey: "m", meta: 3 };
const LOCKS = 10_000;
/** So many are compared with one question. */
const AT_ONCE = 64;

function keyOf(number: number): string {
  return KEYS.exclusive({ space: "scsi", name: `disk${number}` });
}

/** A host with many locks in etcd, which watches whether they are there. */
class Stage {
  readonly etcd = new PlayedEtcd("none");
  readonly time = new PlayedTime();
  readonly granted = new GrantedLocks({ end: () => {} });
  readonly queues = new KeyQueues();
  readonly told: string[] = [];
  /** How many questions compared keys. */
  compared = 0;
  counted = 0;
  #watch: { readonly from: number; readonly tell: (watched: Watched) => void } | undefined;

  constructor() {
    const { etcd, granted, queues, time } = this;
    etcd.put("s", "session");
    etcd.put("m", "meta");
    for (let number = 0; number < LOCKS; number++) this.take(number);
    const loop = time.loop();
    const ask = (transaction: Transaction, done: Parameters<KeyCheckSession["ask"]>[1]) => {
      if (transaction.compare.length > 0 && transaction.success.length === 0) this.compared++;
      if (transaction.success[0]?.op === "count") this.counted++;
      // Answered later, as by another process.
      loop.after(1, () => done(etcd.apply({ kind: "transaction", transaction }, 0)));
    };
    const check = new KeyCheck({
      session: { state: { kind: "live", epoch: EPOCH }, ask, doubt: () => {}, moved: () => false },
      keys: KEYS,
      names: new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path),
      granted,
      turns: {
        busy: (key) => queues.busy(key),
        inTurn: (key, task) => queues.add(key, task),
        give: () => {},
        markOf: () => ({ key: "", own: "", value: "" }),
      },
      resources: () => [],
      partWith: () => false,
      markOf: ({ pid }) => ({ pid, start: 9 }),
      observer: {
        clusterKeyRestored: (key) => void this.told.push(`restored ${key}`),
        clusterKeyUnreadable: (wrong) => void this.told.push(`unreadable ${wrong}`),
        clusterDoubtful: ({ name }) => void this.told.push(`doubtful ${name}`),
      },
    });
    new KeyWatch({
      session: {
        id: SESSION,
        whenLive: (_until, ready) => ready(EPOCH),
        ask,
        awaitDelete: (_range, from, limitMs, tell) => {
          const watch = { from, tell };
          this.#watch = watch;
          loop.after(limitMs, () => {
            if (this.#watch === watch) this.tell({ kind: "changed" });
          });
        },
      },
      keys: KEYS,
      check,
      granted,
      orphans: { size: 0 },
      marks: { size: 0 },
      turns: {
        get rest() {
          return queues.rest;
        },
      },
      loop,
    }).begin();
  }

  /** This host takes a lock. */
  take(number: number): void {
    const key = keyOf(number);
    const lock = { key, own: KEYS.own(SESSION, key), value: "ours" };
    this.etcd.put(lock.key, lock.value);
    this.etcd.put(lock.own, lock.value);
    this.granted.adopt(`/scsi/disk${number}`, lock);
  }

  /** Somebody deletes keys by hand. */
  remove(...keys: readonly string[]): void {
    const success = keys.map((key) => ({ op: "delete", key }) as const);
    this.etcd.apply({ kind: "transaction", transaction: { compare: [], success, failure: [] } }, 0);
  }

  /** From which revision etcd is watched just now; undefined: it is not. */
  get watchedFrom(): number | undefined {
    return this.#watch?.from;
  }

  /** Ends the watch that is under way. */
  tell(watched: Watched): void {
    const watch = this.#watch;
    this.#watch = undefined;
    watch?.tell(watched);
  }

  /** So many milliseconds pass. */
  pass(milliseconds: number): void {
    this.time.after(milliseconds, () => {});
    for (const end = this.time.now + milliseconds; this.time.now < end;) this.time.advance();
  }
}

type KeyCheckSession = ConstructorParameters<typeof KeyCheck>[0]["session"];

Deno.test("a key of 10,000 that somebody deletes is put there again at once, by a look at that lock alone", () => {
  for (const key of [keyOf(9_999), KEYS.own(SESSION, keyOf(9_999))]) {
    const stage = new Stage();
    stage.pass(10);
    stage.remove(key);
    stage.tell({ kind: "deleted", keys: [key], all: true, until: stage.etcd.revision });
    stage.pass(100);
    assert.deepEqual(stage.told, [`restored ${keyOf(9_999)}`]);
    assert.equal(stage.etcd.get(keyOf(9_999)), "ours");
    assert.equal(stage.compared, 1);
  }
});

Deno.test("a lock that this host has given back itself is not looked at, nor one of another host", () => {
  const stage = new Stage();
  stage.pass(10);
  const given = keyOf(1);
  stage.granted.forget("/scsi/disk1");
  const keys = [
    given,
    KEYS.own(SESSION, given),
    KEYS.exclusive({ space: "scsi", name: "theirs" }),
    KEYS.meta,
  ];
  stage.tell({ kind: "deleted", keys, all: true, until: 90_000 });
  stage.pass(100);
  assert.deepEqual([stage.compared, stage.told], [0, []]);
});

Deno.test("it is watched on from behind what was told, once in a second however much is deleted", () => {
  const stage = new Stage();
  stage.pass(10);
  assert.equal(stage.watchedFrom, stage.etcd.revision + 1);
  stage.tell({ kind: "deleted", keys: [KEYS.meta], all: true, until: 70_000 });
  stage.pass(900);
  assert.equal(stage.watchedFrom, undefined);
  stage.pass(200);
  assert.equal(stage.watchedFrom, 70_001);
});

Deno.test("a key of 10,000 that was deleted while nobody watched is found by the next count, some at once", () => {
  const stage = new Stage();
  stage.pass(10);
  stage.remove(keyOf(7_000), KEYS.own(SESSION, keyOf(7_000)));
  const before = stage.compared;
  // The watch ends without a word, and the keys are counted twice.
  stage.tell({ kind: "changed" });
  stage.pass(3_500);
  assert.deepEqual(stage.told, [`restored ${keyOf(7_000)}`]);
  assert.equal(stage.compared - before, Math.ceil(LOCKS / AT_ONCE));
  assert.equal(stage.etcd.get(keyOf(7_000)), "ours");
});

Deno.test("all locks are looked at where etcd does not know any more what was deleted", () => {
  const stage = new Stage();
  stage.pass(10);
  stage.remove(keyOf(5_000));
  stage.tell({ kind: "deleted", keys: [], all: false, until: 80_000 });
  stage.pass(1_000);
  assert.deepEqual(stage.told, [`restored ${keyOf(5_000)}`]);
});

Deno.test("a count that differs because something is being done is a reason for nothing", () => {
  const stage = new Stage();
  stage.pass(10);
  for (let number = 0; number < 50; number++) {
    // It is released in etcd before the daemon is told, and the next one is taken as slowly.
    const key = keyOf(number);
    let end = () => {};
    stage.queues.add(key, (over) => void (end = over));
    stage.remove(key, KEYS.own(SESSION, key));
    stage.tell({ kind: "changed" });
    stage.pass(10);
    stage.granted.forget(`/scsi/disk${number}`);
    end();
    stage.take(LOCKS + number);
  }
  // All but the look that is due every 3 s, of which none was yet.
  assert.deepEqual([stage.compared, stage.told], [0, []]);
  assert.equal(stage.counted, 51);
});

Deno.test("keys that the daemon does not know of are counted, and nothing is looked for because of them", () => {
  const stage = new Stage();
  stage.pass(10);
  stage.etcd.put(KEYS.own(SESSION, "unreadable"), "x");
  for (let round = 0; round < 3; round++) {
    stage.tell({ kind: "changed" });
    stage.pass(2_000);
  }
  // Those that are due every 3 s.
  assert.ok(stage.compared <= 2, String(stage.compared));
});

Deno.test("an etcd that was restored is watched from where it is", () => {
  const stage = new Stage();
  stage.pass(10);
  stage.tell({ kind: "deleted", keys: [], all: true, until: 900_000 });
  stage.pass(1_100);
  assert.equal(stage.watchedFrom, 900_001);
  stage.tell({ kind: "failed" });
  stage.pass(3_100);
  assert.equal(stage.watchedFrom, stage.etcd.revision + 1);
});
