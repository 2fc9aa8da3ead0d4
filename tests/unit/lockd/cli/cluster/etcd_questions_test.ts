import assert from "node:assert/strict";
import { CommandError } from "../../../../../src/chassis/cli/command.ts";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import { EtcdQuestions } from "../../../../../src/lockd/cli/cluster/etcd_questions.ts";

/** Questions that get these answers, one after the other, each after 4 s; the last one again and again. */
function answered(...answers: Answer[]) {
  return answeredIn(4000, ...answers);
}

/** The same after so many milliseconds. */
function answeredIn(milliseconds: number, ...answers: Answer[]): {
  readonly questions: EtcdQuestions;
  readonly asked: () => number;
  readonly now: () => number;
} {
  let now = 0;
  let asked = 0;
  const questions = new EtcdQuestions({
    ask: () => {
      now += milliseconds;
      return answers[Math.min(asked++, answers.length - 1)] ?? assert.fail("no answer");
    },
    pause: (waited) => {
      now += waited;
    },
    get now() {
      return now;
    },
  });
  return { questions, asked: () => asked, now: () => now };
}

const UNKNOWN = { kind: "unknown", reason: "etcd has not answered within 4 s" } as const;
const FOUND: Answer = {
  kind: "transaction",
  result: {
    succeeded: true,
    results: [{ found: [{ key: "k", value: "v", changedAt: 3 }], more: false }],
    cluster: "1",
    revision: 9,
  },
};
const CHANGE = { compare: [], success: [], failure: [] };

Deno.test("what only reads is asked again, and ends in time", () => {
  const again = answered(UNKNOWN, FOUND);
  assert.deepEqual(again.questions.get("k"), [{ key: "k", value: "v", changedAt: 3 }]);
  const never = answered(UNKNOWN);
  assert.throws(
    () => never.questions.get("k"),
    new CommandError(2, "etcd does not answer: etcd has not answered within 4 s"),
  );
  assert.equal(never.asked(), 2);
});

Deno.test("that no member can be reached is told within seconds, but not before each was asked again", () => {
  const unreached = { kind: "unknown", reason: "etcd cannot be reached: nobody", unreached: true } as const;
  const never = answeredIn(10, unreached);
  assert.throws(
    () => never.questions.get("k"),
    new CommandError(2, "etcd does not answer: etcd cannot be reached: nobody"),
  );
  assert.deepEqual([never.asked(), never.now()], [11, 2110]);
  const late = answeredIn(10, ...Array.from({ length: 9 }, () => unreached), FOUND);
  assert.equal(late.questions.get("k")[0]?.value, "v");
});

Deno.test("members that refuse the connection may be starting, and are waited for longer", () => {
  const reason = "etcd cannot be reached: connect ECONNREFUSED 127.0.0.1:2379";
  const refusing = { kind: "unknown", reason, unreached: true } as const;
  const never = answeredIn(10, refusing);
  assert.throws(
    () => never.questions.get("k"),
    new CommandError(
      2,
      `etcd does not answer: ${reason}. Where its members are just being started, say the same again`,
    ),
  );
  assert.deepEqual([never.asked(), never.now()], [25, 5050]);
  const started = answeredIn(10, ...Array.from({ length: 20 }, () => refusing), FOUND);
  assert.equal(started.questions.get("k")[0]?.value, "v");
});

Deno.test("members that choose a leader are waited for, also where another one cannot be reached", () => {
  const choosing = { kind: "unknown", reason: "etcdserver: leader changed" } as const;
  const unreached = { kind: "unknown", reason: "etcd cannot be reached: nobody", unreached: true } as const;
  const some = Array.from({ length: 12 }, () => [unreached, choosing]).flat();
  const chosen = answeredIn(10, ...some, FOUND);
  assert.equal(chosen.questions.get("k")[0]?.value, "v");
});

Deno.test("what changes something is asked once, whatever comes of it", () => {
  const once = answered(UNKNOWN, FOUND);
  assert.deepEqual(once.questions.change(CHANGE), { ...UNKNOWN });
  assert.equal(once.asked(), 1);
});

Deno.test("what a full etcd does not take is told, and is to be said again", () => {
  const full = { kind: "full", reason: "etcd is full" } as const;
  assert.throws(
    () => answered(full).questions.change(CHANGE),
    new CommandError(2, "etcd is full. Say the same again when there is room"),
  );
});

Deno.test("what etcd refuses is told as it says it", () => {
  const denied = { kind: "refused", reason: "etcdserver: permission denied" } as const;
  for (const ask of [(q: EtcdQuestions) => q.get("k"), (q: EtcdQuestions) => q.change(CHANGE)]) {
    assert.throws(
      () => ask(answered(denied).questions),
      new CommandError(2, "etcd refuses: etcdserver: permission denied"),
    );
  }
});
