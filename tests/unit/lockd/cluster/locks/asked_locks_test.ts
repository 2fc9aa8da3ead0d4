import assert from "node:assert/strict";
import type { KeyValue, Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { AskedLocks } from "../../../../../src/lockd/cluster/locks/asked_locks.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const EPOCH = { sessionKey: "s", session: 1, metaKey: "m", meta: 2 };

function lockKey(name: string): string {
  return KEYS.exclusive({ space: "scsi", name });
}

function question(name: string, uuid: string): KeyValue {
  const value = { session: "other", attempt: "a", domain: "d", uuid, pid: 7, start: 9, since: 0 };
  return { key: KEYS.want("mine", lockKey(name)), value: JSON.stringify(value), changedAt: 5 };
}

/** Answers questions once. @returns those that were taken away, and what was asked of the lock core */
function answered(questions: readonly KeyValue[]) {
  const time = new PlayedTime();
  const taken: string[] = [];
  const asked: string[] = [];
  const kept = {
    pending: new Set<string>() as ReadonlySet<string>,
    asked: (key: string, uuid: string) => {
      asked.push(`${key.split("/").at(-1)} for ${uuid}, pending ${kept.pending.size}`);
      return key === lockKey("parked");
    },
  };
  new AskedLocks({
    session: {
      id: "mine",
      whenLive: (_until, ready) => ready(EPOCH),
      ask: (transaction: Transaction, done) => {
        const [first] = transaction.success;
        if (first?.op === "delete") taken.push(first.key);
        const results = [{ found: questions, more: false }];
        done({ kind: "transaction", result: { succeeded: true, results, cluster: "1", revision: 6 } });
      },
      awaitChange: () => {},
    },
    keys: KEYS,
    granted: { uuidOf: (key) => key === lockKey("own") ? "u-own" : "u-other" },
    kept,
    loop: time.loop(),
  }).begin();
  return { taken, asked, pending: [...kept.pending] };
}

Deno.test("a question about a lock that goes stays until it has gone, one about another is taken away", () => {
  const { taken, asked, pending } = answered([question("parked", "u1"), question("held", "u1")]);
  assert.deepEqual(taken, [KEYS.want("mine", lockKey("held"))]);
  assert.deepEqual(asked, ["parked for u1, pending 0", "held for u1, pending 0"]);
  assert.deepEqual(pending, []);
});

Deno.test("a question of the same domain stays, and what is parked from now on is not kept", () => {
  const { taken, asked, pending } = answered([question("own", "u-own")]);
  assert.deepEqual(taken, []);
  assert.deepEqual(asked, ["own for u-own, pending 1"]);
  assert.deepEqual(pending, [lockKey("own")]);
});

Deno.test("what is no question is taken away", () => {
  const broken = { ...question("held", "u"), value: "{" };
  assert.deepEqual(answered([broken]), { taken: [broken.key], asked: [], pending: [] });
});
