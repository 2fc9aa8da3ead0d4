import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { LockTurns } from "../../../../../src/lockd/cluster/locks/lock_turns.ts";
import { UngrantedTries } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const NAME = { space: "scsi", name: "disk" };
const KEY = KEYS.exclusive(NAME);
const LOCK = { key: KEY, own: KEYS.own("s", KEY), value: "v" };
const EPOCH = { sessionKey: KEYS.session("s"), session: 5, metaKey: KEYS.meta, meta: 1 };
const EMPTY = { found: [], more: false };

function answered(succeeded: boolean): Answer {
  return {
    kind: "transaction",
    result: { succeeded, results: [EMPTY, EMPTY, EMPTY, EMPTY], cluster: "1", revision: 6 },
  };
}

/** What was put to etcd, and is answered when the test says so. */
class Stage {
  readonly asked: { transaction: Transaction; answer: (answer: Answer) => void }[] = [];
  readonly marks: string[] = [];
  readonly turns = new LockTurns({
    session: {
      id: "s",
      whenLive: (_until, ready) => ready(EPOCH),
      moved: () => false,
      doubt: () => assert.fail("everything is answered"),
      ask: (transaction, answer) => void this.asked.push({ transaction, answer }),
    },
    keys: KEYS,
    nonce: () => "n",
    loop: new PlayedTime().loop(),
    marks: { add: ({ key }) => void this.marks.push(key) },
    tries: new UngrantedTries([], () => {}),
  });
}

Deno.test("what is done to a key waits for its release, and other keys do not", () => {
  const { asked, turns } = new Stage();
  const order: string[] = [];
  turns.give(LOCK, (failure) => void order.push(`given ${failure}`));
  turns.inTurn(KEY, (end) => {
    order.push("behind");
    end();
  });
  turns.inTurn("other", (end) => {
    order.push("other");
    end();
  });
  assert.deepEqual([turns.releasing, turns.busy(KEY), turns.busy("other")], [1, true, false]);
  assert.deepEqual(order, ["other"]);
  assert.equal(asked.length, 1);
  asked[0]?.answer(answered(true));
  assert.deepEqual(order.toSorted(), ["behind", "given undefined", "other"]);
  assert.deepEqual([turns.releasing, turns.busy(KEY)], [0, false]);
});

Deno.test("a paused guest's mark takes the place of its lock, and is known from then on", () => {
  const { asked, turns, marks } = new Stage();
  const holder = { domain: "web", uuid: "u", pid: 7, start: 9, since: 1 };
  const mark = turns.markOf(NAME, holder);
  assert.equal(mark.key, KEYS.paused(NAME, "s", { pid: 7, start: 9, uuid: "u" }));
  assert.equal(mark.own, KEYS.own("s", mark.key));
  assert.deepEqual(JSON.parse(mark.value), { session: "s", attempt: "n", ...holder });
  turns.give(LOCK, () => {}, mark);
  assert.deepEqual(marks, []);
  assert.deepEqual(
    asked[0]?.transaction.success.flatMap((each) => each.op === "put" ? [each.key] : []),
    [mark.key, mark.own],
  );
  asked[0]?.answer(answered(true));
  assert.deepEqual(marks, [mark.key]);
});

Deno.test("whoever comes after a release finds that it is known to be over", () => {
  const { asked, turns } = new Stage();
  const told: string[] = [];
  turns.give(LOCK, () => void told.push("given back"));
  turns.inTurn(KEY, (end) => {
    told.push("next");
    end();
  });
  asked[0]?.answer(answered(true));
  assert.deepEqual(told, ["given back", "next"]);
});

Deno.test("whenGone() tells of a lock that etcd has no more, and of nothing that is not known", () => {
  const { asked, turns } = new Stage();
  let gone = 0;
  for (let times = 0; times < 3; times++) turns.whenGone(LOCK, () => gone++);
  assert.deepEqual(asked[0]?.transaction, {
    compare: [{ kind: "value", key: KEY, value: "v" }],
    success: [],
    failure: [{ op: "get", key: KEY }],
  });
  asked[0]?.answer(answered(true));
  asked[1]?.answer({ kind: "unknown", reason: "no answer" });
  assert.equal(gone, 0);
  asked[2]?.answer(answered(false));
  assert.equal(gone, 1);
});
