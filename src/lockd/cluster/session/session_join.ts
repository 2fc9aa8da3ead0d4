import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue, Transaction } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { Fencing } from "../keys/fencing_record.ts";
import type { MetaRecord } from "../keys/meta_record.ts";
import { RecordError } from "../keys/record_fields.ts";
import { decodeSession } from "../keys/session_record.ts";
import { type Epoch, readAtLimit } from "../keys/transactions.ts";
import { ASK_MS, HEARD_SECONDS } from "./cluster_times.ts";
import { LEFT } from "./lost_reasons.ts";
import type { OwnSession } from "./own_session.ts";
import type { SessionParts } from "./session_parts.ts";
import { type GivenUp, nextStep, type SessionStep } from "./session_step.ts";
import { agreement, bump, objectTo } from "./session_writes.ts";

/** What came of one step. */
export type Joined =
  /** It is to be tried again after a while. */
  | { readonly kind: "again"; readonly reason: string }
  /** The next step can be made at once. */
  | { readonly kind: "now" }
  /** It must not be tried again before a person has looked. */
  | {
    readonly kind: "lost";
    readonly reason: string;
    readonly givenUp?: GivenUp;
    /** Set where it was made to leave. */
    readonly left?: true;
  }
  /** The session is written: whatever was on its way before is void. */
  | { readonly kind: "written"; readonly epoch: Epoch; readonly meta: MetaRecord };

/** What joining works with. */
export interface SessionJoinParts {
  readonly parts: SessionParts;
  readonly own: OwnSession;
  /** Puts a transaction to etcd; it does not answer when the session has been closed. */
  readonly ask: (transaction: Transaction, done: (answer: Answer) => void) => void;
  /** Whether the session has been closed. */
  readonly closed: () => boolean;
  /**
   * How many locks of its guests are others', as far as this life knows, and at most where it does not.
   *
   * @param before what an earlier life has written of that
   */
  readonly lost: (before: number) => number;
  /** This host was fenced, and has begun another session. */
  readonly fenced: (fencing: Fencing) => void;
  /** It goes on with a session of an earlier daemon that has left no note of it. */
  readonly goesOn: () => void;
}

/** The steps on the way to be a member: each looks what etcd has of this host, and does what that needs. */
export class SessionJoin {
  readonly #parts: SessionJoinParts;

  constructor(parts: SessionJoinParts) {
    this.#parts = parts;
  }

  /** Makes one step. @param done called once, unless the session is closed */
  step(done: (joined: Joined) => void): void {
    const { own, ask } = this.#parts;
    const { keys, host, spaces, holds, isEarlier, observer } = this.#parts.parts;
    const again = (reason: string) => done({ kind: "again", reason });
    ask(readAtLimit(keys.meta, keys.host(host.id), keys.session(own.id)), (answer) => {
      if (answer.kind !== "transaction") return again(reasonOf(answer));
      const [meta, hostKey, session] = answer.result.results.map(({ found }) => found[0]);
      try {
        const step = nextStep({ meta, host: hostKey, session }, {
          host,
          spaces,
          session: own.id,
          member: own.member,
          tried: own.tried,
          keeps: (own.seen?.session ?? 0) > 0 && holds(),
          seen: own.seen,
          changed: own.changed,
          told: own.told,
          fenced: own.fenced,
          isEarlier,
        });
        switch (step.kind) {
          case "wait":
            return again(step.reason);
          case "lost":
            return done(step);
          case "other-session":
            own.goOnWith(step.session);
            this.#parts.goesOn();
            return done({ kind: "now" });
          case "found":
            return this.#agree(0, "forming", "", done);
          case "close":
            return this.#agree(step.meta, "recovering", step.reason, done);
          case "fenced":
            // In another session it takes what nobody else has by now.
            observer.clusterFenced(step.fencing);
            own.follow();
            this.#parts.fenced(step.fencing);
            return done({ kind: "now" });
          case "object":
            return this.#object(step, session, done);
          case "left":
            return this.#left(step.givenUp, done);
          case "bump":
            return this.#bump(step, { session, heardAt: hostKey?.changedAt ?? 0 }, done);
        }
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        return again(error.message);
      }
    });
  }

  /** Another one has this host's place, and somebody is about to say that this one is dead. */
  #object(
    { session, fencing, reason }: Extract<SessionStep, { kind: "object" }>,
    before: KeyValue | undefined,
    done: (joined: Joined) => void,
  ): void {
    const { own, ask } = this.#parts;
    const { keys, host, nonce, keep, observer } = this.#parts.parts;
    const mark = nonce();
    own.tries(mark);
    const unkept = keep(own.note);
    if (unkept !== undefined) {
      own.notWritten(mark);
      return done({ kind: "again", reason: unkept });
    }
    const written = { host, mark, lost: this.#lost(before) };
    ask(objectTo(keys.session(own.id), session, written), (answer) => {
      if (answer.kind === "transaction" && answer.result.succeeded) {
        own.objected(mark);
        observer.clusterCondemned(fencing);
      } else if (answer.kind === "transaction" || answer.kind === "refused") own.notWritten(mark);
      done({ kind: "again", reason });
    });
  }

  /**
   * The host was made to leave: its daemon does not come back by itself, but the next one does, as long as
   * its configuration has it be a member.
   */
  #left(givenUp: GivenUp, done: (joined: Joined) => void): void {
    const { own, parts } = this.#parts;
    parts.marksGone();
    if (own.member || parts.parting === true) {
      return done({ kind: "lost", reason: LEFT, givenUp, left: true });
    }
    own.startAnew(parts.nonce());
    done({ kind: "now" });
  }

  /** Makes a cluster, or closes the one that there is, until all hosts have put in what they have. */
  #agree(
    before: number,
    phase: "forming" | "recovering",
    why: string,
    done: (joined: Joined) => void,
  ): void {
    const { own, ask } = this.#parts;
    const { keys, spaces, nonce } = this.#parts.parts;
    const meta = { spaces, phase, round: nonce(), expect: [], without: [], why };
    ask(agreement(keys, before, meta), (answer) => {
      if (answer.kind !== "transaction") return done({ kind: "again", reason: reasonOf(answer) });
      if (answer.result.succeeded && phase === "recovering") own.wasTold();
      done({ kind: "now" });
    });
  }

  /** What is written of locks that its guests have lost: while there are any it is not fenced once more. */
  #lost(before: KeyValue | undefined): number {
    return this.#parts.lost(before === undefined ? 0 : decodeSession(before).lost ?? 0);
  }

  /** @param before what is in etcd of this host @throws RecordError when its session is none */
  #bump(
    { meta, metaAt }: { readonly meta: MetaRecord; readonly metaAt: number },
    { session: before, heardAt }: {
      readonly session: KeyValue | undefined;
      /** Revision at which it was last told that it is heard of. */
      readonly heardAt: number;
    },
    done: (joined: Joined) => void,
  ): void {
    const { own, ask, closed } = this.#parts;
    const { keys, host, nonce, keep, etcd, observer } = this.#parts.parts;
    const again = (reason: string) => done({ kind: "again", reason });
    const mark = nonce();
    const unwritten = (reason: string) => {
      own.notWritten(mark);
      again(reason);
    };
    own.tries(mark);
    const unkept = keep(own.note);
    if (unkept !== undefined) return unwritten(unkept);
    const known = before === undefined ? undefined : decodeSession(before);
    const lost = this.#lost(before);
    if (known?.fencing !== undefined) observer.clusterCondemned(known.fencing);
    etcd.ask({ kind: "grant-lease", seconds: HEARD_SECONDS }, ASK_MS, (granted) => {
      if (closed()) return;
      if (granted.kind !== "lease") return unwritten(reasonOf(granted));
      const { lease } = granted;
      // As it is in what is written now: it may be configured anew before the answer comes.
      const data = host.data?.();
      const sessionKey = keys.session(own.id);
      ask(
        bump(keys, { session: before?.changedAt ?? 0, meta: metaAt, host: heardAt }, {
          session: own.id,
          host,
          mark,
          lost,
          lease,
        }),
        (answer) => {
          switch (answer.kind) {
            case "transaction":
              break;
            case "refused":
              return unwritten(answer.reason);
            case "lease":
            case "changed":
            case "deleted":
            case "versions":
            case "full":
            case "unknown":
              // The nonce stays among those that were tried: it may still come, or have come.
              return again(reasonOf(answer));
          }
          if (!answer.result.succeeded) {
            own.notWritten(mark);
            return done({ kind: "now" });
          }
          own.written(mark, lease, lost, data);
          const epoch = { sessionKey, session: answer.result.revision, metaKey: keys.meta, meta: metaAt };
          done({ kind: "written", epoch, meta });
        },
      );
    });
  }
}
