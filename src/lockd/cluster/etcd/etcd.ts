import type { Answer, Question } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";

/** etcd, however it is reached: the one way out of the cluster's rules. */
export interface Etcd {
  /**
   * Asks once.
   *
   * @param limitMs after so many milliseconds without an answer the outcome is unknown
   * @param done called once, after this function has returned
   */
  ask(question: Question, limitMs: number, done: (answer: Answer) => void): void;
  /** Why nothing can be asked now; undefined when it can. */
  readonly unreachable: string | undefined;
  /** Whether that is because the way there is only being made, as a process that is being started. */
  readonly starting: boolean;
}

/** Why a question was not answered as it was meant. */
export function reasonOf(answer: Answer): string {
  return answer.kind === "refused" || answer.kind === "full" || answer.kind === "unknown"
    ? answer.reason
    : "etcd has answered another question";
}

/** What a transaction has read; nothing where the answer is that of none. */
export function foundIn(answer: Answer): readonly KeyValue[] {
  return answer.kind === "transaction" ? answer.result.results.flatMap(({ found }) => found) : [];
}
