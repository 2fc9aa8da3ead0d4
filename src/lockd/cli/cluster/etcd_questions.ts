import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import type { Answer, MemberVersion } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue, Transaction, TransactionResult } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../../cluster/etcd/etcd.ts";
import { read, readAtLimit } from "../../cluster/keys/transactions.ts";
import { PAGE } from "../../cluster/session/list_all.ts";
import type { EtcdLink } from "./etcd_link.ts";

/** Time limit of one question, in ms. */
const ASK_MS = 4000;
/** What changes nothing is asked again, perhaps of another member, until so long has gone by, in ms. */
const READ_MS = 8000;
/**
 * When no member could be reached for so long the command is told so, in ms. Members that choose a leader can
 * be reached, and one that is started again leaves the others.
 */
const UNREACHED_MS = 2000;
/**
 * The same where the connection is refused, in ms: nobody listens there, as while all members are being
 * started, which are there a few seconds later.
 */
const REFUSED_MS = 5000;
const REFUSED = "ECONNREFUSED";
const STARTING = "Where its members are just being started, say the same again";

/** What was asked to be changed. */
export type Changed =
  | { readonly kind: "done"; readonly result: TransactionResult }
  /** It may have been done, or may still be. */
  | { readonly kind: "unknown"; readonly reason: string };

/** Puts a command's questions to etcd, and waits for the answers. */
export class EtcdQuestions {
  readonly #link: Pick<EtcdLink, "ask" | "pause" | "now">;

  constructor(link: Pick<EtcdLink, "ask" | "pause" | "now">) {
    this.#link = link;
  }

  /** Waits. */
  pause(milliseconds: number): void {
    this.#link.pause(milliseconds);
  }

  /** Reads keys as they are at one moment: undefined where there is none. @throws CommandError */
  get(...keys: readonly string[]): readonly (KeyValue | undefined)[] {
    return this.#read(read(...keys)).results.map(({ found }) => found[0]);
  }

  /** Every key that begins with a prefix, page by page. @throws CommandError */
  list(prefix: string): KeyValue[] {
    const all: KeyValue[] = [];
    let after: string | undefined;
    do {
      const list = { op: "list", prefix, limit: PAGE, ...after === undefined ? {} : { after } } as const;
      const [page] = this.#read({ compare: [], success: [list], failure: [] }).results;
      for (const entry of page?.found ?? []) all.push(entry);
      after = page?.more === true ? page.found.at(-1)?.key : undefined;
    } while (after !== undefined);
    return all;
  }

  /**
   * Changes something, once.
   *
   * @throws CommandError when etcd refuses or is full, or nothing can be asked
   */
  change(transaction: Transaction): Changed {
    const answer = this.#link.ask({ kind: "transaction", transaction }, ASK_MS);
    switch (answer.kind) {
      case "transaction":
        return { kind: "done", result: answer.result };
      case "refused":
        throw refused(answer);
      case "full":
        // Perhaps it was the last thing that etcd has written: whoever says it again finds that.
        throw new CommandError(
          CommandExit.UNREACHABLE,
          `${answer.reason}. Say the same again when there is room`,
        );
      case "lease":
      case "changed":
      case "deleted":
      case "versions":
      case "unknown":
        return { kind: "unknown", reason: reasonOf(answer) };
    }
  }

  /**
   * Why etcd does not take transactions as large as all that need it; undefined when it does, or does not
   * answer.
   *
   * @param key some key
   */
  limitFault(key: string): string | undefined {
    const answer = this.#link.ask({ kind: "transaction", transaction: readAtLimit(key) }, ASK_MS);
    return answer.kind === "refused" ? answer.reason : undefined;
  }

  /** Which version each member of etcd is. @throws CommandError */
  versions(): readonly MemberVersion[] {
    const answer = this.#link.ask({ kind: "versions" }, ASK_MS);
    if (answer.kind === "versions") return answer.members;
    throw new CommandError(CommandExit.UNREACHABLE, `etcd does not tell its version: ${reasonOf(answer)}`);
  }

  #read(transaction: Transaction): TransactionResult {
    const begun = this.#link.now;
    let isReached = false;
    for (;;) {
      const answer = this.#link.ask({ kind: "transaction", transaction }, ASK_MS);
      if (answer.kind === "transaction") return answer.result;
      if (answer.kind === "refused") throw refused(answer);
      isReached ||= answer.kind !== "unknown" || answer.unreached !== true;
      const reason = reasonOf(answer);
      const isRefused = !isReached && reason.includes(REFUSED);
      if (this.#link.now >= begun + (isReached ? READ_MS : isRefused ? REFUSED_MS : UNREACHED_MS)) {
        const advice = isRefused ? `. ${STARTING}` : "";
        throw new CommandError(CommandExit.UNREACHABLE, `etcd does not answer: ${reason}${advice}`);
      }
      this.#link.pause(200);
    }
  }
}

function refused(answer: Answer): CommandError {
  return new CommandError(CommandExit.UNREACHABLE, `etcd refuses: ${reasonOf(answer)}`);
}
