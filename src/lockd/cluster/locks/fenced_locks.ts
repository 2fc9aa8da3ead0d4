import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import { freeFor } from "../keys/fencing.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { Fencing } from "../keys/fencing_record.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import { RecordError } from "../keys/record_fields.ts";
import { decodeSession } from "../keys/session_record.ts";
import type { ClusterSession } from "../session/session.ts";
import { type Epoch, read } from "../keys/transactions.ts";

/** What came of looking at a lock of another session. */
export type Freed =
  /** It was that of a fenced host, and has gone, or has changed hands: it may be tried again. */
  | { readonly kind: "again" }
  /** Its host was not fenced: the lock stays. */
  | { readonly kind: "stays" }
  /** This cannot be told now. */
  | { readonly kind: "failed"; readonly reason: string };

/** What is needed to free locks. */
export interface FencedLocksParts {
  readonly session: Pick<ClusterSession, "ask" | "moved" | "doubt">;
  readonly keys: Pick<ClusterKeys, "session" | "own">;
}

/**
 * Frees locks of hosts of which somebody has said that they cannot write any more. A session that is not
 * there, or of which nothing was said for good, counts as one that lives.
 */
export class FencedLocks {
  readonly #parts: FencedLocksParts;

  constructor(parts: FencedLocksParts) {
    this.#parts = parts;
  }

  /**
   * Frees a lock if it is that of a fenced host.
   *
   * @param entry the lock as it was read
   * @throws RecordError when it is none
   */
  free(epoch: Epoch, entry: KeyValue, done: (freed: Freed) => void): void {
    const { session, keys } = this.#parts;
    const { key, value } = entry;
    const holder = decodeHolder(entry);
    const sessionKey = keys.session(holder.session);
    session.ask(read(sessionKey), (answer) => {
      if (answer.kind !== "transaction") return done({ kind: "failed", reason: reasonOf(answer) });
      const found = answer.result.results[0]?.found[0];
      const state = stateOf(found);
      if (typeof state === "object") return done({ kind: "failed", reason: state.reason });
      if (found === undefined || state !== "fenced") return done({ kind: "stays" });
      const fenced = { key: sessionKey, revision: found.changedAt };
      const lock = { key, own: keys.own(holder.session, key), value };
      session.ask(freeFor(epoch, fenced, lock), (freed) => done(this.#outcome(epoch, freed)));
    });
  }

  #outcome(epoch: Epoch, answer: Answer): Freed {
    const { session } = this.#parts;
    if (answer.kind === "transaction") {
      // Otherwise it has changed hands meanwhile, or the epoch has moved: whoever tries again sees that.
      if (!answer.result.succeeded) session.moved(epoch, answer.result.results);
      return { kind: "again" };
    }
    const reason = reasonOf(answer);
    // Whoever tries again sees what a full etcd has done.
    if (answer.kind !== "refused" && answer.kind !== "full") session.doubt(reason);
    return { kind: "failed", reason };
  }
}

/** What was said of a session; an object for a record that cannot be read. */
function stateOf(entry: KeyValue | undefined): Fencing["state"] | undefined | { readonly reason: string } {
  try {
    return entry === undefined ? undefined : decodeSession(entry).fencing?.state;
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return { reason: error.message };
  }
}
