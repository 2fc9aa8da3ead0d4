import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { HELD_BY_ANOTHER } from "../../../../../src/lockd/cluster/session/doubts.ts";
import { FencedLocks } from "../../../../../src/lockd/cluster/locks/fenced_locks.ts";
import { HeldLocks } from "../../../../../src/lockd/cluster/reconcile/held_locks.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { LostLocks } from "../../../../../src/lockd/cluster/reconcile/lost_locks.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import type { LockHolder } from "../../../../../src/lockd/cluster/keys/lock_holder.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import type { ClusterLock } from "../../../../../src/lockd/cluster/keys/transactions.ts";
import type { Resource } from "../../../../../src/lockd/lockspace/resource.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { PlayedTime } from "../../../../support/played_time.ts";
import { resource } from "../../programs/lock_fixture.ts";

const KEYS = new ClusterKeys("test");
const NAME = { space: "scsi", name: "disk" };
const PATH = "/scsi/disk";
const KEY = KEYS.exclusive(NAME);
const EPOCH = { sessionKey: "s", session: 2, metaKey: "m", meta: 3 };
const GUEST = { domain: "guest", uuid: "u", pid: 7, start: 9, since: 5 };
const OURS: LockHolder = { session: "mine", attempt: "n1", ...GUEST };
const THEIRS: LockHolder = { ...OURS, session: "theirs", attempt: "t", domain: "other", pid: 70 };

/** A host with one lock, which is another host's in etcd. */
class Stage {
  readonly etcd = new PlayedEtcd("none");
  readonly time = new PlayedTime();
  readonly told: string[] = [];
  readonly held = new Map<string, ClusterLock>();
  readonly resources: Resource[];
  /** What is done with the next answers of etcd. */
  readonly answers: ((answer: Answer) => Answer)[] = [];
  #nonces = 0;

  constructor(reason = HELD_BY_ANOTHER) {
    this.etcd.put("s", "session");
    this.etcd.put("m", "meta");
    this.etcd.put(KEY, encodeRecord(THEIRS));
    const holdings = [{ owner: { name: "guest", uuid: "u", pid: 7, id: 1 }, since: 5 }];
    const state = { kind: "doubtful", reason } as const;
    this.resources = [resource({ id: 1, lockspace: "/scsi", name: "disk", holdings, state })];
    const session = {
      id: "mine",
      state: { kind: "live", epoch: EPOCH } as const,
      ask: (transaction: Transaction, done: (answer: Answer) => void) => {
        const answer = this.etcd.apply({ kind: "transaction", transaction }, 0);
        done(this.answers.shift()?.(answer) ?? answer);
      },
      doubt: (reason: string) => void this.told.push(`doubt: ${reason}`),
      moved: () => false,
      regained: ({ name }: Resource) => void this.told.push(`session: ${name}`),
    };
    new LostLocks({
      session,
      keys: KEYS,
      names: new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path),
      granted: {
        of: (path) => this.held.get(path),
        adopt: (path, lock) => void this.held.set(path, lock),
        holds: (key) => [...this.held.values()].some((lock) => lock.key === key),
      },
      heldLocks: new HeldLocks({
        session,
        keys: KEYS,
        fencedLocks: new FencedLocks({ session, keys: KEYS }),
      }),
      turns: {
        busy: () => false,
        inTurn: (_key, task) => task(() => {}),
        give: (lock) => void this.told.push(`give ${lock.value}`),
      },
      guests: { taken: ({ name }) => void this.told.push(`taken ${name}`) },
      resources: () => this.resources,
      markOf: ({ pid }) => ({ pid, start: 9 }),
      nonce: () => `n${++this.#nonces}`,
      loop: this.time.loop(),
      observer: { clusterRegained: ({ name }) => void this.told.push(`regained ${name}`) },
    }).begin();
  }

  /** The other host gives its lock up. */
  free(): void {
    const transaction = { compare: [], success: [{ op: "delete", key: KEY } as const], failure: [] };
    this.etcd.apply({ kind: "transaction", transaction }, 0);
  }
}

Deno.test("a lock that another host has had is had again when nobody has it any more", () => {
  const stage = new Stage();
  stage.time.advance();
  assert.deepEqual([stage.told, stage.held.size], [["taken disk"], 0]);
  stage.free();
  stage.time.advance();
  assert.deepEqual(stage.told.slice(1), ["session: disk", "regained disk"]);
  assert.equal(stage.held.get(PATH)?.value, stage.etcd.get(KEY));
  assert.deepEqual(JSON.parse(stage.etcd.get(KEY) ?? ""), { ...OURS, attempt: "n2" });
  stage.time.advance();
  assert.equal(stage.told.length, 3);
});

Deno.test("the mark of its guest stays, and a guest of another host that is paused is told of it", () => {
  const stage = new Stage();
  const own = KEYS.paused(NAME, "mine", { pid: 7, start: 9, uuid: "u" });
  const other = KEYS.paused(NAME, "theirs", { pid: 70, start: 9, uuid: "u" });
  const { attempt: _, ...used } = THEIRS;
  const mark = encodeRecord({ ...OURS, used });
  stage.etcd.put(own, mark);
  stage.etcd.put(other, encodeRecord(THEIRS));
  stage.free();
  stage.time.advance();
  assert.deepEqual(stage.told, ["session: disk", "regained disk"]);
  assert.equal(stage.etcd.get(own), mark);
  assert.equal(JSON.parse(stage.etcd.get(other) ?? "").used.session, "mine");
});

Deno.test("a lock that etcd has put there without an answer is found there", () => {
  const stage = new Stage();
  stage.free();
  stage.answers.push(() => ({ kind: "unknown", reason: "no answer" }));
  stage.time.advance();
  assert.deepEqual([stage.told, stage.held.size], [["doubt: no answer"], 0]);
  stage.time.advance();
  assert.deepEqual(stage.told.slice(1), ["session: disk", "regained disk"]);
  assert.equal(stage.held.get(PATH)?.value, stage.etcd.get(KEY));
});

Deno.test("what was put there for a guest that has ended meanwhile is given back", () => {
  const stage = new Stage();
  stage.free();
  stage.answers.push((answer) => {
    stage.resources.pop();
    return answer;
  });
  stage.time.advance();
  const value = encodeRecord(OURS);
  assert.deepEqual([stage.told, stage.held.size], [[`give ${value}`], 0]);
  const silent = new Stage();
  silent.free();
  silent.answers.push(() => ({ kind: "unknown", reason: "no answer" }));
  silent.time.advance();
  silent.resources.pop();
  silent.time.advance();
  assert.deepEqual(silent.told, ["doubt: no answer", `give ${value}`]);
});

Deno.test("what was put there without an answer, and was found by whoever looked first, stays", () => {
  const stage = new Stage();
  stage.free();
  stage.answers.push(() => ({ kind: "unknown", reason: "no answer" }));
  stage.time.advance();
  const value = encodeRecord(OURS);
  assert.equal(stage.etcd.get(KEY), value);
  // As the reconciliation does in a cluster that was recovered meanwhile.
  stage.held.set(PATH, { key: KEY, own: KEYS.own("mine", KEY), value });
  stage.time.advance();
  assert.deepEqual(stage.told, ["doubt: no answer"]);
});

Deno.test("a lock whose doubt is not the cluster's is left alone", () => {
  const stage = new Stage("Unable to release lock on resource /scsi/disk");
  stage.free();
  stage.time.advance();
  assert.deepEqual([stage.told, stage.etcd.get(KEY)], [[], undefined]);
});

Deno.test("each of many lost locks has its turn, and a guest that has ended meanwhile is not dealt with", () => {
  const stage = new Stage();
  const [first] = stage.resources;
  assert.ok(first !== undefined);
  for (let id = 2; id <= 120; id++) {
    const name = `disk${id}`;
    stage.resources.push({ ...first, id, name, path: `/scsi/${name}` });
    stage.etcd.put(KEYS.exclusive({ space: "scsi", name }), encodeRecord(THEIRS));
  }
  const looked = () => {
    stage.told.length = 0;
    stage.time.advance();
    return [stage.told.length, stage.told[0]];
  };
  assert.deepEqual(looked(), [50, "taken disk"]);
  assert.deepEqual(looked(), [50, "taken disk51"]);
  assert.deepEqual(looked(), [20, "taken disk101"]);
  assert.deepEqual(looked(), [50, "taken disk"]);
  const ended = new Stage();
  ended.answers.push((answer) => {
    ended.resources.pop();
    return answer;
  });
  ended.time.advance();
  assert.deepEqual(ended.told, []);
});
