// The link with etcd as it is, but that single changes of locks come late to etcd, or their answers from
// there: as with a member that is stopped when it has just got one. What is asked behind them is not held up,
// as by another member.
import { EtcdChannel } from "../../../src/etcd/link/etcd_channel.ts";
import { main } from "../../../src/etcd/link/main.ts";
import type { Answer } from "../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../src/etcd/wire/transaction.ts";
import { type HeldUp, readHeldUp, removeHeldUp } from "../held_up.ts";
import { isAcquire, isRelease } from "./lock_changes.ts";

const HOME = Deno.env.get("HOME") ?? "";

const { ask } = EtcdChannel.prototype;
EtcdChannel.prototype.ask = function (question, limitMs, done) {
  const heldUp = question.kind === "transaction" ? heldUpOf(question.transaction) : undefined;
  if (heldUp === undefined) return ask.call(this, question, limitMs, done);
  const { way, ms } = heldUp;
  const once = answeredOnce(done);
  setTimeout(() => once({ kind: "unknown", reason: `it has not answered within ${limitMs} ms` }), limitMs);
  if (way === "there") return void setTimeout(() => ask.call(this, question, limitMs, once), ms);
  ask.call(this, question, limitMs, (answer) => void setTimeout(() => once(answer), ms));
};

function heldUpOf(transaction: Transaction): HeldUp | undefined {
  const heldUp = readHeldUp(HOME);
  if (heldUp === undefined) return undefined;
  const is = heldUp.change === "acquire" ? isAcquire : isRelease;
  if (!is(transaction)) return undefined;
  removeHeldUp(HOME);
  return heldUp;
}

function answeredOnce(done: (answer: Answer) => void): (answer: Answer) => void {
  let answered = false;
  return (answer) => {
    if (!answered) done(answer);
    answered = true;
  };
}

await main();
