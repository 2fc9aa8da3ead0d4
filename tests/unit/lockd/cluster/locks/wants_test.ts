import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { AskLimit } from "../../../../../src/lockd/cluster/locks/ask_limit.ts";
import { Wants, type WantsParts } from "../../../../../src/lockd/cluster/locks/wants.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const KEYS = new ClusterKeys("test");
const EPOCH = { sessionKey: "s", session: 1, metaKey: "m", meta: 2 };
const ENTRY = { key: KEYS.exclusive({ space: "scsi", name: "disk" }), value: "record", changedAt: 5 };
const ASKER = { domain: "web", uuid: "u", pid: 7, start: 9, since: 0 };
const WANT = { epoch: EPOCH, entry: ENTRY, of: "other", asker: ASKER };
/** Nothing is answered. */
const CUT: Answer = { kind: "unknown", reason: "cut" };

class Stage {
  readonly time = new PlayedTime();
  readonly asked: Transaction[] = [];
  readonly told: string[] = [];
  /** Whether the question is in etcd still when it is looked at. */
  there = true;
  /** What comes of a look whether it is; undefined: nothing so far. */
  look: ((answered: (answer: Answer) => void) => void) | undefined;
  /** What the question itself is answered. */
  first: Answer = done(true);
  /** Whether it turns out meanwhile that the lease has ended. */
  unleased = false;
  readonly #loop = this.time.loop();
  readonly session: WantsParts["session"] & { lease: string | undefined } = {
    id: "mine",
    lease: "77",
    ask: (transaction, done) => this.#ask(transaction, done),
    doubt: (reason) => this.told.push(`doubt ${reason}`),
    moved: ({ session }) => {
      this.told.push(`whether ${session} has moved`);
      return true;
    },
    awaitChange: (_prefix, _from, limitMs, told) => void this.#loop.after(limitMs, () => told(true)),
  };
  readonly #wants = new Wants({
    session: this.session,
    keys: KEYS,
    nonce: () => "n1",
    loop: this.#loop,
    clock: () => this.time.now,
    wait: () => 5000,
  });

  /** @param limit how long who asks waits for etcd, in ms */
  ask(limit = new AskLimit({ loop: this.#loop, clock: () => this.time.now }, 60_000)): void {
    this.#wants.ask({ ...WANT, limit }, (outcome) => this.told.push(`${outcome} at ${this.time.now}`));
  }

  #ask(transaction: Transaction, answered: (answer: Answer) => void): void {
    this.asked.push(transaction);
    const [first] = transaction.success;
    if (first?.op === "put") {
      if (this.unleased) this.session.lease = undefined;
      return answered(this.first);
    }
    if (first?.op === "delete") return answered(done(true));
    if (this.look !== undefined) return this.look(answered);
    const found = this.there ? [{ key: "want", value: "v", changedAt: 6 }] : [];
    answered({
      kind: "transaction",
      result: { succeeded: true, results: [{ found, more: false }], cluster: "1", revision: 6 },
    });
  }
}

function done(succeeded: boolean): Answer {
  return { kind: "transaction", result: { succeeded, results: [], cluster: "1", revision: 6 } };
}

Deno.test("a question is put with a lease while the lock is as it was, and is answered when it has gone", () => {
  const stage = new Stage();
  stage.ask();
  assert.deepEqual(stage.asked[0], {
    compare: [
      { kind: "changed-at", key: "s", revision: 1 },
      { kind: "changed-at", key: "m", revision: 2 },
      { kind: "changed-at", key: ENTRY.key, revision: 5 },
    ],
    success: [{
      op: "put",
      key: "/virtlockd/test/want/other/lock/scsi/disk",
      value: JSON.stringify({ session: "mine", attempt: "n1", ...ASKER }),
      lease: "77",
    }],
    // Whether this host's session has changed, which it has to know before it tries again.
    failure: [{ op: "get", key: "s" }, { op: "get", key: "m" }],
  });
  stage.time.advance();
  assert.deepEqual(stage.told, []);
  stage.there = false;
  stage.time.advance();
  assert.deepEqual(stage.told, ["answered at 2000"]);
});

Deno.test("a guest waits for all of its locks together, and its question goes when the time is over", () => {
  const stage = new Stage();
  stage.ask();
  for (let second = 0; second < 3; second++) stage.time.advance();
  stage.there = false;
  stage.time.advance();
  stage.there = true;
  stage.ask();
  stage.time.advance();
  assert.deepEqual(stage.told, ["answered at 4000", "silent at 5000"]);
  assert.equal(stage.asked.at(-1)?.success[0]?.op, "delete");
  stage.ask();
  assert.deepEqual(stage.told.slice(2), ["silent at 5000"]);
});

Deno.test("a question that was not put, or of which nothing is known, was not asked: the lock is looked at again", () => {
  const stage = new Stage();
  stage.first = done(false);
  stage.ask();
  stage.first = { kind: "unknown", reason: "no answer" };
  stage.ask();
  assert.deepEqual(stage.told, [
    "whether 1 has moved",
    "unasked at 0",
    "doubt no answer",
    "unasked at 0",
  ]);
});

Deno.test("a host that is not heard of itself asks nobody", () => {
  const stage = new Stage();
  stage.session.lease = undefined;
  stage.ask();
  assert.deepEqual([stage.told, stage.asked], [["silent at 0"], []]);
});

Deno.test("a question that etcd refuses is not asked again, but for one whose lease has ended", () => {
  const stage = new Stage();
  stage.first = { kind: "refused", reason: "etcdserver: requested lease not found" };
  stage.ask();
  stage.unleased = true;
  stage.ask();
  assert.deepEqual(stage.told, ["silent at 0", "unasked at 0"]);
});

Deno.test("waiting for another host is not waiting for etcd, which answers", () => {
  const stage = new Stage();
  const limit = new AskLimit({ loop: stage.time.loop(), clock: () => stage.time.now }, 900);
  limit.whenOver(() => stage.told.push("too late"));
  stage.ask(limit);
  for (let second = 0; second < 5; second++) stage.time.advance();
  assert.deepEqual([stage.told, limit.left], [["silent at 5000"], 900]);
  stage.time.advance();
  assert.deepEqual([stage.told.at(-1), stage.time.now], ["too late", 5900]);
});

Deno.test("who waits for another host waits no longer than he may when etcd does not answer any more", () => {
  const stage = new Stage();
  const limit = new AskLimit({ loop: stage.time.loop(), clock: () => stage.time.now }, 900);
  limit.whenOver(() => stage.told.push(`too late at ${stage.time.now}`));
  // A second for the first look, which is answered behind the time.
  let answer: (answer: Answer) => void = () => assert.fail("it was not looked");
  stage.look = (answered) => void (answer = answered);
  stage.ask(limit);
  stage.time.advance();
  stage.time.advance();
  assert.deepEqual(stage.told, ["too late at 1900"]);
  // The question goes from etcd as soon as that answers: nobody waits for the lock any more.
  answer(CUT);
  assert.deepEqual(stage.told.slice(1), ["silent at 1900"]);
  assert.equal(stage.asked.at(-1)?.success[0]?.op, "delete");
  // Where no look is answered no time is added by the next one.
  const cut = new Stage();
  const short = new AskLimit({ loop: cut.time.loop(), clock: () => cut.time.now }, 2500);
  short.whenOver(() => cut.told.push(`too late at ${cut.time.now}`));
  cut.look = (answered) => void cut.time.after(400, () => answered(CUT));
  cut.ask(short);
  while (cut.told.length === 0) cut.time.advance();
  // A second until the first look, and all that is left behind that.
  assert.deepEqual(cut.told, ["too late at 3500"]);
});
