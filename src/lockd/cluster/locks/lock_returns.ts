import { FewAtOnce } from "../../../base/few_at_once.ts";
import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Answer } from "../../../etcd/wire/link_messages.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodePaused } from "../keys/lock_holder.ts";
import { asUsed } from "../keys/marks.ts";
import { encodeRecord } from "../keys/records.ts";
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
   * @param wanted what is put in its place, for a guest that is paused
   * @param done gets why etcd may keep it for ever: the session is lost; else undefined. And the mark as it
   *   may be there
   */
  give(
    lock: ClusterLock,
    wanted: ClusterLock | undefined,
    done: (failure: string | undefined, mark: ClusterLock | undefined) => void,
  ): void {
    const { session, keys, tries } = this.#parts;
    this.#few.run((over) => {
      let mark = wanted;
      const ended = (failure: string | undefined) => {
        if (failure === undefined) tries.end(lock.value);
        over();
        done(failure, mark);
      };
      // Behind the others: what keeps this one need not keep them.
      const again = () => {
        over();
        this.give(lock, mark, done);
      };
      // The mark is there already.
      const unmarked = () => this.give(lock, undefined, (failure) => done(failure, mark));
      const laterWith = (give: () => void): Later => (answer) => {
        over();
        tryAgain(this.#parts, answer, give);
      };
      const later = laterWith(() => this.give(lock, mark, done));
      session.whenLive(Infinity, (epoch) => {
        mark = wanted === undefined ? undefined : this.#ofNow(lock, wanted);
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
              return unmarked();
            }
            // Marks have gone, or say something else by now, which stays.
            const told = marks.slice(mark === undefined ? 0 : 1);
            tries.put({
              value: lock.value,
              changed: unused.filter(({ after }, place) => told[place]?.value === after),
            });
            return again();
          }
          const gone = () => this.#gone(epoch, lock, ended, again, laterWith(unmarked));
          // Else a release whose answer was lost has put the mark.
          if (mark !== undefined && marks[0] === undefined) {
            return this.#mark(epoch, mark, gone, again, later);
          }
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
  #gone(
    epoch: Epoch,
    lock: ClusterLock,
    ended: (failure: undefined) => void,
    again: () => void,
    later: Later,
  ): void {
    const { session } = this.#parts;
    session.ask(forget(epoch, lock), (answer) => {
      if (answer.kind !== "transaction") return later(answer);
      const { succeeded, results } = answer.result;
      if (!succeeded && session.moved(epoch, results)) return again();
      ended(undefined);
    });
  }

  /** A mark in the session that there is now: of one that was fenced nobody looks after what it has. */
  #ofNow({ key: lock }: ClusterLock, mark: ClusterLock): ClusterLock {
    const { session, keys } = this.#parts;
    const record = decodePaused(mark);
    if (record.session === session.id) return mark;
    const key = keys.paused(keys.nameOf(lock), session.id, record);
    return { key, own: keys.own(session.id, key), value: encodeRecord({ ...record, session: session.id }) };
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
