import type { Answer, Question } from "../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../src/etcd/wire/transaction.ts";
import { LinkClient } from "../../../src/lockd/cluster/etcd/link_client.ts";

/** Has every transaction of the daemon's changed on its way to etcd, and every answer seen. */
export function changeTransactions(
  change: (transaction: Transaction) => Transaction,
  seen: (answer: Answer) => void = () => {},
): void {
  const ask = LinkClient.prototype.ask;
  LinkClient.prototype.ask = function (question: Question, limitMs, done) {
    const asked: Question = question.kind === "transaction"
      ? { kind: "transaction", transaction: change(question.transaction) }
      : question;
    ask.call(this, asked, limitMs, (answer) => {
      seen(answer);
      done(answer);
    });
  };
}
