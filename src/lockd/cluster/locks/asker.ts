import type { ClusterSession } from "../session/session.ts";
import type { AskLimit } from "./ask_limit.ts";

/** Nobody has an answer in time. */
export interface Failed {
  readonly kind: "failed";
  readonly reason: string;
}

/** What answering in time works with. */
export interface AskerParts<Outcome> {
  readonly session: Pick<ClusterSession, "whenLive">;
  readonly limit: AskLimit;
  /** Why there is no answer, where etcd could be asked. */
  readonly late: () => string;
  /** Called once. */
  readonly done: (outcome: Outcome | Failed) => void;
}

/** Somebody who asks for a lock: he is answered once, and in time. */
export class Asker<Outcome> {
  readonly #parts: AskerParts<Outcome>;
  readonly #forget: () => void;
  #waits = true;

  constructor(parts: AskerParts<Outcome>) {
    this.#parts = parts;
    const { session, limit, late } = parts;
    const failed = (reason: string) => this.answer({ kind: "failed", reason });
    // What keeps this host from asking is the better reason.
    this.#forget = limit.whenOver(() => session.whenLive(limit.until, () => failed(late()), failed));
  }

  /** Whether he has no answer yet. */
  get waits(): boolean {
    return this.#waits;
  }

  /** Who has an answer gets no other one. */
  answer(outcome: Outcome | Failed): void {
    if (!this.#waits) return;
    this.#waits = false;
    this.#forget();
    this.#parts.done(outcome);
  }
}
