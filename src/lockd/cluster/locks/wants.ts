import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { HolderFacts } from "../keys/lock_holder.ts";
import { encodeRecord } from "../keys/records.ts";
import type { AskLimit } from "./ask_limit.ts";
import type { ClusterSession } from "../session/session.ts";
import { type Epoch, epochReads, read, stillIn } from "../keys/transactions.ts";

/**
 * Whoever waits looks again after this time in any case, in ms: to be told of a change is a hint only, and
 * a member that was cut off never tells. A guest waits 5 s in all: a lost hint costs a fifth of that.
 */
const LOOK_MS = 1000;
/**
 * Pause before the next look when etcd does not tell of changes, in ms. It is in the downtime of a migration,
 * where a tenth of a second is hardly seen; at most 50 reads come of one guest's 5 s.
 */
const AGAIN_MS = 100;

/** What asking other hosts needs. */
export interface WantsParts {
  readonly session: Pick<ClusterSession, "id" | "ask" | "doubt" | "moved" | "lease" | "awaitChange">;
  readonly keys: ClusterKeys;
  readonly nonce: () => string;
  readonly loop: Pick<EventLoop, "after">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** How long a guest waits for other hosts, in ms, whatever it asks for. */
  readonly wait: () => number;
}

/** A lock of another host, and who asks for it. */
export interface Want {
  readonly epoch: Epoch;
  /** As etcd has it. */
  readonly entry: KeyValue;
  /** Session of the other host. */
  readonly of: string;
  readonly asker: HolderFacts;
  /** How long who asks waits for etcd. */
  readonly limit: AskLimit;
}

/** A question that was put, and waits for its answer. */
interface Waiting {
  readonly key: string;
  readonly value: string;
  /** Until when the other host is waited for, by the monotonic clock. */
  readonly until: number;
  readonly limit: AskLimit;
  /** How long etcd is waited for, in ms, each time that it has answered. */
  readonly patience: number;
}

/**
 * What came of asking another host. "answered": it is worth while to look at the lock once more. "silent":
 * there was no answer in time. "unasked": the question was not put, for the lock or this host's session has
 * changed, or nobody knows whether it was: whoever finds that host's lock has not been told anything of it.
 */
export type Asked = "answered" | "silent" | "unasked";

/**
 * Asks other hosts for what they may give: locks of guests that are paused, or are just ending. The other
 * host gives the lock back, or says that it does not, and either way takes the question away. A question has
 * the lease of the host that asks: it stands for nothing, and must not stay.
 */
export class Wants {
  readonly #parts: WantsParts;
  /** How long guests have waited lately, by their process. */
  readonly #waited = new Map<string, { spent: number; last: number }>();

  constructor(parts: WantsParts) {
    this.#parts = parts;
  }

  /** Asks. @param done called once */
  ask(want: Want, done: (outcome: Asked) => void): void {
    const { session, keys, nonce, clock } = this.#parts;
    const { epoch, entry, of, asker, limit } = want;
    const begun = clock();
    const left = this.#left(asker, begun);
    const { lease } = session;
    if (left <= 0 || lease === undefined) return done("silent");
    const ended = (outcome: Asked) => {
      this.#spend(asker, begun);
      done(outcome);
    };
    const key = keys.want(of, entry.key);
    const value = encodeRecord({ session: session.id, attempt: nonce(), ...asker });
    session.ask({
      compare: [...stillIn(epoch), { kind: "changed-at", key: entry.key, revision: entry.changedAt }],
      success: [{ op: "put", key, value, lease }],
      failure: epochReads(epoch),
    }, (answer) => {
      switch (answer.kind) {
        case "transaction": {
          const { succeeded, revision, results } = answer.result;
          if (!succeeded) {
            session.moved(epoch, results);
            return ended("unasked");
          }
          return this.#await(
            { key, value, until: begun + left, limit, patience: limit.left },
            revision,
            ended,
          );
        }
        case "refused":
        case "full":
          // If it was put all the same, it goes with its lease. This host gets another one when its own has
          // ended, as when it stood still for a while.
          return ended(session.lease === lease ? "silent" : "unasked");
        case "lease":
        case "changed":
        case "deleted":
        case "versions":
        case "unknown":
          // If it comes late it tells the other host nothing that it may not know.
          session.doubt(reasonOf(answer));
          return ended("unasked");
      }
    });
  }

  /** @param answers whether etcd has answered the last question: then only the other host is waited for */
  #await(
    want: Waiting,
    revision: number,
    done: (outcome: Asked) => void,
    answers = true,
  ): void {
    const { session, loop, clock } = this.#parts;
    const { key, value, until, limit, patience } = want;
    const left = until - clock();
    if (left <= 0 || limit.over) {
      const compare = [{ kind: "value", key, value }] as const;
      session.ask({ compare, success: [{ op: "delete", key }], failure: [] }, () => {});
      return done("silent");
    }
    if (answers) limit.stop();
    session.awaitChange(key, revision + 1, Math.min(left, LOOK_MS), (hinted) => {
      const look = () => {
        limit.run();
        session.ask(read(key), (answer) => {
          if (answer.kind !== "transaction") return this.#await(want, revision, done, false);
          limit.run(patience);
          const { results: [found], revision: seen } = answer.result;
          if (found?.found.length === 0) return done("answered");
          this.#await(want, seen, done);
        });
      };
      if (hinted) look();
      else loop.after(AGAIN_MS, look);
    });
  }

  #left(asker: HolderFacts, now: number): number {
    const wait = this.#parts.wait();
    for (const [guest, { last }] of this.#waited) if (now - last > wait) this.#waited.delete(guest);
    return wait - (this.#waited.get(guestOf(asker))?.spent ?? 0);
  }

  #spend(asker: HolderFacts, begun: number): void {
    const now = this.#parts.clock();
    const guest = guestOf(asker);
    const spent = (this.#waited.get(guest)?.spent ?? 0) + now - begun;
    this.#waited.set(guest, { spent, last: now });
  }
}

function guestOf({ uuid, pid, start }: HolderFacts): string {
  return `${uuid} ${pid} ${start}`;
}
