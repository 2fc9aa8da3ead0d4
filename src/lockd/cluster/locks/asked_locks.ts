import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { GrantedLocks } from "./granted_locks.ts";
import type { KeptLocks } from "./kept_locks.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import { readable } from "../keys/record_fields.ts";
import type { ClusterSession } from "../session/session.ts";

/**
 * So many questions are looked at together: a page of 150 KB. What is behind is looked at as soon as one of
 * these is answered, for that changes what is there.
 */
const PAGE = 500;
/**
 * How long etcd is asked for changes at once, in ms: behind that it is looked in any case, where a watch was
 * lost unseen. The host that asks gives up after 5 s and is refused then, which a retry mends; a shorter time
 * would have every idle host ask more often, for ever.
 */
const WATCH_MS = 10_000;
/**
 * Pause when etcd does not answer, in ms: a watch that ends at once, as with a member that is just being
 * stopped, must not be asked for in a circle.
 */
const AGAIN_MS = 500;

/** What answering other hosts needs. */
export interface AskedLocksParts {
  readonly session: Pick<ClusterSession, "id" | "whenLive" | "ask" | "awaitChange">;
  readonly keys: ClusterKeys;
  readonly granted: Pick<GrantedLocks, "uuidOf">;
  readonly kept: Pick<KeptLocks, "asked" | "pending">;
  readonly loop: Pick<EventLoop, "after">;
}

/**
 * Answers other hosts that ask for locks of this one. What is kept for a paused guest is given back, which
 * takes the question away; so does every other release. Of a guest that runs the question is taken away, and
 * the host that asks sees that it does not get the lock. It stays while the guest is the same domain as the
 * one that asks: then it is about to move, or has just failed to.
 */
export class AskedLocks {
  readonly #parts: AskedLocksParts;

  constructor(parts: AskedLocksParts) {
    this.#parts = parts;
  }

  /** Begins. */
  begin(): void {
    const { session, keys, loop } = this.#parts;
    const again = () => void loop.after(AGAIN_MS, () => this.begin());
    session.whenLive(Infinity, () => {
      const prefix = keys.wants(session.id);
      const list = { op: "list", prefix, limit: PAGE } as const;
      session.ask({ compare: [], success: [list], failure: [] }, (answer) => {
        if (answer.kind !== "transaction") return again();
        const { results, revision } = answer.result;
        this.#asked(results.flatMap(({ found }) => found));
        session.awaitChange(prefix, revision + 1, WATCH_MS, (hinted) => hinted ? this.begin() : again());
      });
    }, () => {});
  }

  #asked(questions: readonly KeyValue[]): void {
    const { session, keys, granted, kept } = this.#parts;
    const open = questions.map((question) => ({
      ...question,
      lock: keys.ofWant(session.id, question.key),
      uuid: readable(() => decodeHolder(question))?.uuid,
    }));
    const sameDomain = open.filter(({ lock, uuid }) => uuid !== undefined && granted.uuidOf(lock) === uuid);
    const pending = new Set(sameDomain.map(({ lock }) => lock));
    // Known before anything is released: what is parked from now on is not kept.
    kept.pending = pending;
    for (const { key, value, lock, uuid } of open) {
      if (uuid !== undefined && (kept.asked(lock, uuid) || pending.has(lock))) continue;
      const compare = [{ kind: "value", key, value }] as const;
      // Where that fails the host that asks ends its question by itself.
      session.ask({ compare, success: [{ op: "delete", key }], failure: [] }, () => {});
    }
  }
}
