import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import type { KeyValue, Transaction } from "../../../etcd/wire/transaction.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import { decodeHost } from "../../cluster/keys/host_record.ts";
import { decodeHolder } from "../../cluster/keys/lock_holder.ts";
import { encodeRecord } from "../../cluster/keys/records.ts";
import { decodeSession } from "../../cluster/keys/session_record.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import { tellingSoFar } from "./so_far.ts";

/** Tries to end a session that its host writes anew meanwhile. */
const TRIES = 5;

/** Guests of a session, each once for every lock, by their names. */
export interface SessionGuests {
  /** Those that have locks. */
  readonly running: readonly string[];
  /**
   * Those without locks that others have had, or may have: paused, or running on. Marks keep them from being
   * resumed.
   */
  readonly overtaken: readonly string[];
}

/** A session that is ended by a command. */
export class LeavingSession {
  readonly #questions: Pick<EtcdQuestions, "get" | "list" | "change">;
  readonly #keys: ClusterKeys;
  readonly #id: string;

  constructor(
    { questions, keys }: {
      readonly questions: Pick<EtcdQuestions, "get" | "list" | "change">;
      readonly keys: ClusterKeys;
    },
    session: string,
  ) {
    this.#questions = questions;
    this.#keys = keys;
    this.#id = session;
  }

  /** The guests that it has something for. @throws RecordError, CommandError */
  guests(): SessionGuests {
    const running: string[] = [];
    const overtaken: string[] = [];
    for (const entry of this.#entries()) {
      const { domain, pid } = decodeHolder(entry);
      const isMark = this.#keys.isPaused(this.#keys.ofOwn(this.#id, entry.key));
      (isMark ? overtaken : running).push(domain === "" ? `process ${pid}` : domain);
    }
    return { running, overtaken };
  }

  /**
   * Ends it.
   *
   * @param locks "none": only when it has none; "given-up": others get what it has
   * @throws CommandError when it is not ended; RecordError
   */
  end(locks: "none" | "given-up"): void {
    const keys = this.#keys;
    const key = keys.session(this.#id);
    for (let left = TRIES; left > 0; left--) {
      const [entry] = this.#questions.get(key);
      if (entry === undefined) return;
      const record = decodeSession(entry);
      if (record.fencing?.state === "fenced") throw fencedMeanwhile(record.name);
      if (record.left !== true && !this.#ended(entry, locks)) continue;
      if (locks === "none") return;
      return tellingSoFar(
        "The host has left, and some of its locks may be there still: say the same again",
        () => {
          for (const entry of this.#entries()) this.#free(entry);
        },
      );
    }
    throw new CommandError(
      CommandExit.PROBLEM,
      "The host has not left: a guest of it has got a lock meanwhile, or its session changes all the time. Try again",
    );
  }

  /** @returns whether that is known to be done */
  #ended(entry: KeyValue, locks: "none" | "given-up"): boolean {
    const keys = this.#keys;
    const { host, name, boot, nonce } = decodeSession(entry);
    const place = keys.host(host);
    const [heard] = this.#questions.get(place);
    // Another start of the host may be heard of, which stays a member.
    const isOwn = heard !== undefined && decodeHost(heard).session === this.#id;
    const changed = this.#questions.change({
      compare: [
        { kind: "changed-at", key: entry.key, revision: entry.changedAt },
        ...locks === "none" ? [{ kind: "none-below", prefix: keys.ownList(this.#id) } as const] : [],
      ],
      success: [
        { op: "put", key: entry.key, value: encodeRecord({ host, name, boot, nonce, left: true }) },
        ...isOwn ? [{ op: "delete", key: place } as const] : [],
      ],
      failure: [],
    });
    return changed.kind === "done" && changed.result.succeeded;
  }

  #entries(): KeyValue[] {
    return this.#questions.list(this.#keys.ownList(this.#id));
  }

  /** The session has been ended: nobody but this changes what it has. */
  #free({ key: own, value }: KeyValue): void {
    const key = this.#keys.ofOwn(this.#id, own);
    const both: Transaction = {
      // What is said in a mark of a paused guest is others' by now, and it is of use to this host only.
      compare: this.#keys.isPaused(key) ? [] : [{ kind: "value", key, value }],
      success: [{ op: "delete", key }, { op: "delete", key: own }],
      // It is somebody else's, or gone: only the list names it.
      failure: [{ op: "delete", key: own }],
    };
    const freed = this.#questions.change(both);
    if (freed.kind === "done") return;
    throw new CommandError(CommandExit.UNREACHABLE, `etcd does not answer: ${freed.reason}`);
  }
}

/** What was said of it stays. */
function fencedMeanwhile(name: string): CommandError {
  return new CommandError(
    CommandExit.PROBLEM,
    plainText(
      `Host '${name}' has not left: it has been fenced meanwhile. virtlockd cluster hosts shows by whom`,
    ),
  );
}
