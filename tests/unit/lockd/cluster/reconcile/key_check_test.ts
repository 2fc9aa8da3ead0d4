import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { KeyCheck } from "../../../../../src/lockd/cluster/reconcile/key_check.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { ClusterNames } from "../../../../../src/lockd/cluster/keys/names.ts";
import type { HolderFacts } from "../../../../../src/lockd/cluster/keys/lock_holder.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { type ClusterLock, readComparing } from "../../../../../src/lockd/cluster/keys/transactions.ts";
import type { Resource } from "../../../../../src/lockd/lockspace/resource.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { resource } from "../../programs/lock_fixture.ts";

const KEYS = new ClusterKeys("test");
const PATH = "/scsi/disk";
const KEY = KEYS.exclusive({ space: "scsi", name: "disk" });
const LOCK = { key: KEY, own: KEYS.own("mine", KEY), value: "ours" };
const EPOCH = { sessionKey: "s", session: 2, metaKey: "m", meta: 3 };
/** A lock of another host. */
const THEIRS = encodeRecord({
  session: "theirs",
  attempt: "a",
  domain: "d",
  uuid: "u",
  pid: 1,
  start: 2,
  since: 3,
});
const OWNER = { name: "guest", uuid: "u", pid: 7, id: 1 };

/** A host with one lock in etcd, at which a check looks. */
class Stage {
  readonly asked: Transaction[] = [];
  readonly etcd = new PlayedEtcd("none");
  readonly told: string[] = [];
  readonly held = new Map<string, ClusterLock>([[PATH, LOCK]]);
  /** What etcd has done, and what is answered; in this order, then etcd's own answers. */
  readonly answers: ((answer: Answer) => Answer)[] = [];
  readonly #check: KeyCheck;

  constructor(regrant?: Resource["regrant"]) {
    this.etcd.put("s", "session");
    this.etcd.put("m", "meta");
    this.etcd.put(LOCK.key, LOCK.value);
    this.etcd.put(LOCK.own, LOCK.value);
    const holdings = [{ owner: OWNER, since: 5 }];
    const held = resource({ id: 1, lockspace: "/scsi", name: "disk", holdings, regrant });
    const ask = (transaction: Transaction, done: (answer: Answer) => void) => {
      this.asked.push(transaction);
      const answer = this.etcd.apply({ kind: "transaction", transaction }, 0);
      done(this.answers.shift()?.(answer) ?? answer);
    };
    this.#check = new KeyCheck({
      session: {
        state: { kind: "live", epoch: EPOCH },
        ask,
        doubt: (reason) => void this.told.push(`doubt: ${reason}`),
        moved: () => false,
      },
      keys: KEYS,
      names: new ClusterNames([{ name: "scsi", directory: "/scsi" }], (path) => path),
      granted: {
        all: () => this.held.entries(),
        of: (path) => this.held.get(path),
        pathOf: (key) => [...this.held].find(([, lock]) => lock.key === key)?.[0],
        drop: (path) => void this.held.delete(path),
      },
      turns: {
        busy: () => false,
        inTurn: (_key, task) => task(() => {}),
        give: (lock, _done, mark) => void this.told.push(`give ${lock.value}, mark ${mark?.key}`),
        markOf: (name, holder: HolderFacts) => {
          const key = KEYS.paused(name, "mine", holder);
          return { key, own: KEYS.own("mine", key), value: "mark" };
        },
      },
      resources: () => [held],
      partWith: (path) => {
        if (regrant === "parked") this.told.push(`part with ${path}`);
        return regrant === "parked";
      },
      markOf: ({ pid }) => ({ pid, start: 9 }),
      observer: {
        clusterKeyRestored: (key) => void this.told.push(`restored ${key}`),
        clusterKeyUnreadable: (wrong) => void this.told.push(`unreadable ${wrong}`),
        clusterDoubtful: ({ name }) => void this.told.push(`doubtful ${name}`),
      },
    });
  }

  /** A proof of the session, with what it looks at besides. @returns keys that it compares for that */
  prove(): number {
    const look = this.#check.look();
    if (look === undefined) return 0;
    const transaction = readComparing(look.compare, "s");
    const answer = this.etcd.apply({ kind: "transaction", transaction }, 0);
    look.looked(answer.kind === "transaction" && answer.result.succeeded);
    return look.compare.length;
  }

  /** Somebody takes the lock away by hand. @param another what is there then */
  remove(another?: string): void {
    const gone = [LOCK.key, LOCK.own].map((key) => ({ op: "delete", key }) as const);
    const taken = another === undefined ? [] : [{ op: "put", key: LOCK.key, value: another } as const];
    this.etcd.apply({
      kind: "transaction",
      transaction: { compare: [], success: [...gone, ...taken], failure: [] },
    }, 0);
  }
}

Deno.test("a key that somebody has taken away is put there again", () => {
  const stage = new Stage();
  stage.prove();
  assert.deepEqual(stage.told, []);
  stage.remove();
  stage.prove();
  assert.deepEqual(stage.told, [`restored ${KEY}`]);
  assert.deepEqual([stage.etcd.get(LOCK.key), stage.etcd.get(LOCK.own)], ["ours", "ours"]);
});

Deno.test("nothing is asked besides the proof as long as all is there", () => {
  const stage = new Stage();
  stage.prove();
  stage.prove();
  assert.deepEqual(stage.asked, []);
});

Deno.test("a running guest's lock that another host has is this host's no more, and its guest is marked for when it is paused", () => {
  const stage = new Stage();
  stage.remove(THEIRS);
  stage.prove();
  stage.prove();
  const mark = KEYS.paused({ space: "scsi", name: "disk" }, "mine", { pid: 7, start: 9, uuid: "u" });
  assert.deepEqual(stage.told, [`give ours, mark ${mark}`, "doubtful disk"]);
  assert.deepEqual([...stage.held.keys()], []);
  assert.equal(stage.etcd.get(LOCK.key), THEIRS);
});

Deno.test("a lock in whose place somebody has written what is none stays this host's, and is told once", () => {
  for (const regrant of [undefined, "parked"] as const) {
    const stage = new Stage(regrant);
    stage.remove("\udcff");
    stage.prove();
    stage.prove();
    const wrong =
      `${KEY} holds bytes that are no text (docs/cluster-etcd.md says what to do with such a key)`;
    assert.deepEqual(stage.told, [`unreadable ${wrong}`]);
    assert.deepEqual([...stage.held.keys()], [PATH]);
    // A person has deleted it.
    stage.remove();
    stage.prove();
    assert.deepEqual(stage.told, [`unreadable ${wrong}`, `restored ${KEY}`]);
    assert.equal(stage.etcd.get(LOCK.key), "ours");
  }
});

Deno.test("a paused guest's lock that another host has is kept for it no longer", () => {
  const stage = new Stage("parked");
  stage.remove(THEIRS);
  stage.prove();
  assert.deepEqual(stage.told, [`part with ${PATH}`]);
});

Deno.test("a lock that is just being given up is left to that", () => {
  const stage = new Stage("leaving");
  stage.remove(THEIRS);
  stage.prove();
  assert.deepEqual([stage.told, stage.held.size], [[], 1]);
});

Deno.test("a key of which it is not known whether it was put there again is a reason to write the session anew", () => {
  const stage = new Stage();
  stage.remove();
  const same = (answer: Answer) => answer;
  stage.answers.push(same, same, () => ({ kind: "unknown", reason: "no answer" }));
  stage.prove();
  assert.deepEqual(stage.told, ["doubt: no answer"]);
});

for (const kind of ["refused", "full"] as const) {
  Deno.test(`a key whose put is answered as ${kind} is looked at again, and the session is left alone`, () => {
    const stage = new Stage();
    stage.remove();
    const same = (answer: Answer) => answer;
    stage.answers.push(same, same, () => ({ kind, reason: "no" }));
    stage.prove();
    assert.deepEqual(stage.told, []);
  });
}

Deno.test("of many locks two keys of each of 32 are compared with each proof, until all have had their turn", () => {
  const stage = new Stage();
  const others = Array.from({ length: 150 }, (_, number) => {
    const key = KEYS.exclusive({ space: "scsi", name: `disk${number}` });
    return { path: `/scsi/disk${number}`, lock: { key, own: KEYS.own("mine", key), value: "ours" } };
  });
  for (const { path, lock } of others) {
    stage.held.set(path, lock);
    stage.etcd.put(lock.key, lock.value);
  }
  // None of them is in the list of what the host has, where a look puts it.
  assert.deepEqual([1, 2, 3, 4, 5].map(() => stage.prove()), [64, 64, 64, 64, 46]);
  assert.deepEqual(stage.told.toSorted(), others.map(({ lock }) => `restored ${lock.key}`).toSorted());
});
