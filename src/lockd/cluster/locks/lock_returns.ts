import { FewAtOnce } from "../../../base/few_at_once.ts";
import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Answer } from "../../../etcd/wire/link_messages.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { asUsed } from "../keys/marks.ts";
import type { ClusterSession } from "../session/session.ts";
import type { UngrantedTries } from "./ungranted_tries.ts";
import { type ClusterLock, type Epoch, EPOCH_READS, forget, putMark, release } from "../keys/transactions.ts";

/** Pause before a change that etcd has refused is tried again, in ms. */
const AGAIN_MS = 1000;
/**
 * So many locks are given back at once. After an outage there may be thousands, and what etcd has not done
 * within the time of a question is not known: then all that is under way is void, and has to be done again.
 * As few as these are done in that time by an etcd of some twenty changes in a second.
 */
const AT_ONCE = 64;

/** What giving back works with. */
export interface LockReturnsParts {
  readonly session: Pick<ClusterSession, "id" | "whenLive" | "ask" | "doubt" | "moved">;
  readonly keys: ClusterKeys;
  readonly loop: Pick<EventLoop, "after">;
  readonly tries: Pick<UngrantedTries, "changedBy" | "put" | "end">;
}

/** Locks that are given back: however long that takes. */
export class LockReturns {
  readonly #parts: LockReturnsParts;
  readonly #few = new FewAtOnce(AT_ONCE);

  constructor(parts: LockReturnsParts) {
    this.#parts = parts;
  }

  /**
   * Gives a lock back, and with it what paused guests were told of one that nobody was granted.
   *
   * @param mark what is put in its place, for a guest that is paused
   * @param done gets why etcd may keep it for ever: the session is lost; else undefined
   */
  give(
    lock: ClusterLock,
    mark: ClusterLock | undefined,
    done: (failure: string | undefined) => void,
  ): void {
    const { session, keys, tries } = this.#parts;
    this.#few.run((over) => {
      const ended = (failure: string | undefined) => {
        if (failure === undefined) tries.end(lock.value);
        over();
        done(failure);
      };
      // Behind the others: what keeps this one need not keep them.
      const again = () => {
        over();
        this.give(lock, mark, done);
      };
      const laterWith = (mark: ClusterLock | undefined): Later => (answer) => {
        over();
        tryAgain(this.#parts, answer, () => this.give(lock, mark, done));
      };
      const later = laterWith(mark);
      session.whenLive(Infinity, (epoch) => {
        const unused = tries.changedBy(lock.value);
        session.ask(release(epoch, lock, keys.want(session.id, lock.key), mark, unused), (answer) => {
          if (answer.kind !== "transaction") return later(answer);
          const { succeeded, results } = answer.result;
          if (succeeded) return ended(undefined);
          if (session.moved(epoch, results)) return again();
          const [there, ...marks] = results.slice(EPOCH_READS).map(({ found: [entry] }) => entry);
          if (there?.value === lock.value) {
            // Its guest has run beside another one: what its mark says of that stays.
            if (mark !== undefined && marks[0] !== undefined) {
              over();
              return this.give(lock, undefined, done);
            }
            // Marks have gone, or say something else by now, which stays.
            const told = marks.slice(mark === undefined ? 0 : 1);
            tries.put({
              value: lock.value,
              changed: unused.filter(({ after }, place) => told[place]?.value === after),
            });
            return again();
          }
          const gone = () => this.#gone(epoch, lock, ended, laterWith(undefined));
          // A release whose answer was lost has put the mark.
          const unmarked = mark !== undefined && marks[0] === undefined;
          if (unmarked) return this.#mark(epoch, mark, gone, again, later);
          gone();
        });
      }, ended);
    });
  }

  /** Somebody else has taken the lock from a paused guest, as from a host that was fenced. */
  #mark(epoch: Epoch, mark: ClusterLock, done: () => void, again: () => void, later: Later): void {
    const { session } = this.#parts;
    session.ask(putMark(epoch, asUsed(mark)), (answer) => {
      if (answer.kind !== "transaction") return later(answer);
      if (answer.result.succeeded) return done();
      session.moved(epoch, answer.result.results);
      again();
    });
  }

  /** Nobody has it any more, or somebody else does: only the session's own list may name it still. */
  #gone(epoch: Epoch, lock: ClusterLock, ended: (failure: undefined) => void, later: Later): void {
    const { session } = this.#parts;
    session.ask(forget(epoch, lock), (answer) => {
      if (answer.kind === "transaction") return ended(undefined);
      later(answer);
    });
  }
}

/** What was asked is not done, or it is not known whether it is. */
type Unanswered = Exclude<Answer, { kind: "transaction" }>;
/** Has all of it done again. */
type Later = (answer: Unanswered) => void;

/**
 * What became of a change is not known, or it was refused: it is done again. In an etcd that is full it may
 * have been done, which the next try finds.
 */
export function tryAgain(
  { session, loop }: {
    readonly session: Pick<ClusterSession, "doubt">;
    readonly loop: Pick<EventLoop, "after">;
  },
  answer: Unanswered,
  again: () => void,
): void {
  if (answer.kind === "refused" || answer.kind === "full") return void loop.after(AGAIN_MS, again);
  session.doubt(reasonOf(answer));
  again();
}
