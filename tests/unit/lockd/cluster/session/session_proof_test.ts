import assert from "node:assert/strict";
import type { Answer, Question } from "../../../../../src/etcd/wire/link_messages.ts";
import { PROOF_MS } from "../../../../../src/lockd/cluster/session/cluster_times.ts";
import { OwnSession } from "../../../../../src/lockd/cluster/session/own_session.ts";
import {
  type KeyLook,
  type ProvenSession,
  SessionProof,
} from "../../../../../src/lockd/cluster/session/session_proof.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

const EPOCH = { sessionKey: "s", session: 2, metaKey: "m", meta: 1 };

/** What etcd has of the host. @param shown what tells that it is heard of */
function there(...shown: readonly string[]): Extract<Answer, { kind: "transaction" }> {
  const found = (values: readonly string[]) => ({
    found: values.map((value) => ({ key: "k", value, changedAt: 1 })),
    more: false,
  });
  const results = [found(["session"]), found(["meta"]), found(shown)];
  return { kind: "transaction", result: { succeeded: true, results, cluster: "e", revision: 3 } };
}

function heardOf(session: string): string {
  return JSON.stringify({ session, boot: "b", name: "n" });
}

const THERE = there(heardOf("i"));

function stage(answers: { transaction?: Answer; lease?: Answer } = {}, look?: KeyLook) {
  const time = new PlayedTime();
  const told: string[] = [];
  const asked: Transaction[] = [];
  const state = {
    epoch: EPOCH as typeof EPOCH | undefined,
    closed: false,
    moved: false,
    lost: 0,
    data: "old",
  };
  const own = new OwnSession({ session: "i" });
  own.written("n", "lease", 0, "old");
  const session: ProvenSession = {
    id: "i",
    get epoch() {
      return state.epoch;
    },
    get closed() {
      return state.closed;
    },
    ask: (transaction, done) => {
      told.push(`asked at ${time.now}`);
      asked.push(transaction);
      done(answers.transaction ?? THERE);
    },
    moved: () => state.moved,
    doubt: (reason) => void told.push(`doubt: ${reason}`),
  };
  new SessionProof({
    etcd: {
      ask: (question: Question, _limit, done) => {
        if (question.kind === "keep-lease") told.push(`keeps ${question.lease}`);
        done(answers.lease ?? { kind: "lease", lease: "lease", seconds: 15 });
      },
    },
    loop: time.loop(),
    place: "h",
    own,
    session,
    lost: () => state.lost,
    data: () => state.data,
    look: () => look,
    proven: () => void told.push("proven"),
  }).begin();
  return { time, told, asked, state };
}

Deno.test("a host shows now and then that it is there, and looks whether it is a member", () => {
  const { time, told } = stage();
  time.advance();
  time.advance();
  assert.deepEqual(told, [
    "keeps lease",
    `asked at ${PROOF_MS}`,
    "proven",
    "keeps lease",
    `asked at ${2 * PROOF_MS}`,
    "proven",
  ]);
});

Deno.test("what is no proof is a doubt: no answer, another epoch, another number of lost locks, other data", () => {
  const cut = stage({ transaction: { kind: "unknown", reason: "cut" } });
  cut.time.advance();
  assert.deepEqual(cut.told.slice(2), ["doubt: cut"]);
  const moved = stage();
  moved.state.moved = true;
  moved.time.advance();
  // The session has doubts itself when it finds that.
  assert.deepEqual(moved.told.slice(2), []);
  const lost = stage();
  lost.state.lost = 1;
  lost.time.advance();
  assert.deepEqual(lost.told.slice(2), ["doubt: guests have lost locks, or ended that had"]);
  const data = stage();
  data.state.data = "new";
  data.time.advance();
  assert.deepEqual(data.told.slice(2), ["doubt: cluster_fence_data was changed"]);
});

Deno.test("a lease that has ended is a doubt once, and is not kept any longer", () => {
  const { time, told } = stage({ lease: { kind: "lease", lease: "lease", seconds: 0 } });
  time.advance();
  time.advance();
  assert.deepEqual(told.filter((each) => !each.startsWith("asked")), [
    "keeps lease",
    "doubt: this host was not heard of for a while",
    "proven",
    "proven",
  ]);
});

Deno.test("nothing is asked while nothing can be changed, and nothing at all once it is closed", () => {
  const { time, told, state } = stage();
  state.epoch = undefined;
  time.advance();
  assert.deepEqual(told, []);
  state.epoch = EPOCH;
  state.closed = true;
  time.advance();
  assert.deepEqual(told, []);
});

Deno.test("a host of which etcd does not say that it is heard of says so again", () => {
  for (const shown of [[], [heardOf("another")]]) {
    const { time, told } = stage({ transaction: there(...shown) });
    time.advance();
    assert.equal(told.at(-1), "doubt: this host was not heard of for a while");
  }
  const unread = stage({ transaction: there("{") });
  unread.time.advance();
  assert.equal(unread.told.at(-1), "proven");
});

Deno.test("a proof looks at other keys besides, and is one also where these are not what they were", () => {
  const compare = [{ kind: "value", key: "lock", value: "ours" }] as const;
  for (const holds of [true, false]) {
    const looked: boolean[] = [];
    const look: KeyLook = { compare, looked: (holds) => void looked.push(holds) };
    const { kind, result } = THERE;
    const { time, told, asked } = stage(
      { transaction: { kind, result: { ...result, succeeded: holds } } },
      look,
    );
    time.advance();
    const reads = [{ op: "get", key: "s" }, { op: "get", key: "m" }, { op: "get", key: "h" }];
    assert.deepEqual(asked, [{ compare, success: reads, failure: reads }]);
    assert.deepEqual([told.at(-1), looked], ["proven", [holds]]);
  }
});

Deno.test("what a proof that is none has seen of other keys is not told", () => {
  const look: KeyLook = { compare: [], looked: () => assert.fail("it was told") };
  const unanswered = stage({ transaction: { kind: "unknown", reason: "cut" } }, look);
  unanswered.time.advance();
  assert.equal(unanswered.told.at(-1), "doubt: cut");
  const moved = stage({}, look);
  moved.state.moved = true;
  moved.time.advance();
  assert.deepEqual(moved.told, ["keeps lease", `asked at ${PROOF_MS}`]);
});
