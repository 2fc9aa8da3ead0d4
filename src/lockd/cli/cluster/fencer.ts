import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { OBJECTION_MS } from "../../cluster/session/cluster_times.ts";
import {
  type FencedSession,
  forgetKeys,
  FREED_AT_ONCE,
  say,
  sweep,
  sweepEntry,
} from "../../cluster/keys/fencing.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import type { Fencing } from "../../cluster/keys/fencing_record.ts";
import { decodeSession, type SessionRecord } from "../../cluster/keys/session_record.ts";
import { counted } from "../../../chassis/log/counted.ts";
import { type ClusterLock, listedLock } from "../../cluster/keys/transactions.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import { tellingSoFar } from "./so_far.ts";

/** Pause between two looks at whether a host has objected, in ms: a person waits, and 20 reads are cheap. */
const LOOK_MS = 500;

/** Who fences. */
export type Word = Omit<Fencing, "state">;

/** What fencing works with. */
export interface FencerParts {
  readonly questions: Pick<EtcdQuestions, "get" | "list" | "change" | "pause">;
  readonly keys: ClusterKeys;
  readonly word: Word;
}

/**
 * Ends a host's session by somebody's word. It is condemned first; a host that lives takes that back by
 * writing its session anew, and nothing is final before it had time to. All is done by transactions that
 * compare the session's revision.
 */
export class Fencer {
  readonly #parts: FencerParts;

  constructor(parts: FencerParts) {
    this.#parts = parts;
  }

  /**
   * Fences a session.
   *
   * @param entry the session as it was shown to whoever has given the word
   * @param dead whether the host is not waited for: its word would not count
   * @throws CommandError when it objects, or etcd does not answer
   */
  fence(entry: KeyValue, dead: boolean): FencedSession {
    if (decodeSession(entry).fencing?.state === "fenced") {
      return { key: entry.key, revision: entry.changedAt };
    }
    const condemned = this.#begun(entry, dead);
    tellingSoFar(
      "The host has not been fenced; it is condemned, which its daemon takes back if it lives: call this again " +
        "when etcd answers",
      () => dead || this.#awaitObjection([condemned]),
    );
    return this.finish(condemned);
  }

  /**
   * Says that a session that is not fenced is about to be, and gives its host time to object.
   *
   * @returns the session as it was when that time was over
   * @throws CommandError when it objects, or etcd does not answer
   */
  condemn(entry: KeyValue, dead: boolean): KeyValue {
    const condemned = this.#begun(entry, dead);
    if (!dead) this.#awaitObjection([condemned]);
    return condemned;
  }

  #begun(entry: KeyValue, dead: boolean): KeyValue {
    const record = decodeSession(entry);
    if (record.lost !== undefined && !dead) throw stillLost(record.name, record.lost);
    return this.#condemned(entry);
  }

  /**
   * The same of several at once, whose hosts have to be silent.
   *
   * @throws CommandError when one of them objects, or etcd does not answer
   */
  condemnAll(entries: readonly KeyValue[]): readonly KeyValue[] {
    for (const { name, lost } of entries.map(decodeSession)) {
      if (lost !== undefined) throw stillLost(name, lost);
    }
    const condemned = entries.map((entry) => this.#condemned(entry));
    if (condemned.length > 0) this.#awaitObjection(condemned);
    return condemned;
  }

  #condemned(entry: KeyValue): KeyValue {
    const record = decodeSession(entry);
    return record.fencing?.state === "condemned" ? entry : this.#say(entry, record, "condemned");
  }

  /**
   * Says of a session that was condemned that its host cannot write any more: if that host has not objected.
   *
   * @throws CommandError when it has, or etcd does not answer
   */
  finish(condemned: KeyValue): FencedSession {
    const fenced = this.#say(condemned, decodeSession(condemned), "fenced");
    return { key: fenced.key, revision: fenced.changedAt };
  }

  /**
   * Frees every lock that a fenced session has, and takes away its marks of paused guests, which whoever
   * takes such a lock would have to go over. Those guests are gone, or cannot write before they are: that is
   * the word. Where it was wrong the host's daemon marks each of them anew before it takes anything again:
   * see `leftBehind` in LostMarks.
   *
   * @returns how many locks there were
   */
  sweep(session: string, fenced: FencedSession): number {
    return tellingSoFar(
      "The host is fenced, and hosts that ask get its locks; call this again to take away what is left of them",
      () => this.#sweepAll(session, fenced),
    );
  }

  /** Takes away all that etcd has of a session that is over but the session itself. */
  forget(session: string, over: FencedSession): void {
    tellingSoFar("The host is not wholly removed; call this again", () => {
      this.#sweepAll(session, over);
      const { questions, keys } = this.#parts;
      const left = questions.list(keys.ownList(session)).flatMap((
        { key },
      ) => [keys.ofOwn(session, key), key]);
      left.push(...questions.list(keys.wants(session)).map(({ key }) => key), keys.silence(session));
      this.#forget(over, left);
    });
  }

  #sweepAll(session: string, fenced: FencedSession): number {
    const { questions, keys } = this.#parts;
    const all = questions.list(keys.ownList(session)).map((entry) => listedLock(keys, session, entry));
    const locks = all.filter(({ key }) => !keys.isPaused(key));
    let freed = 0;
    for (let at = 0; at < locks.length; at += FREED_AT_ONCE) {
      freed += this.#sweep(fenced, locks.slice(at, at + FREED_AT_ONCE));
    }
    this.#forget(fenced, all.filter(({ key }) => keys.isPaused(key)).flatMap(({ key, own }) => [key, own]));
    return freed;
  }

  #forget(fenced: FencedSession, keys: readonly string[]): void {
    for (let at = 0; at < keys.length; at += FREED_AT_ONCE) {
      this.#made(forgetKeys(fenced, keys.slice(at, at + FREED_AT_ONCE)));
    }
  }

  #sweep(fenced: FencedSession, locks: readonly ClusterLock[]): number {
    const [first, ...others] = locks;
    if (first === undefined) return 0;
    if (this.#made(sweep(fenced, locks))) return locks.length;
    if (others.length > 0) return locks.reduce((sum, lock) => sum + this.#sweep(fenced, [lock]), 0);
    // Somebody has taken it meanwhile.
    this.#made(sweepEntry(fenced, first));
    return 0;
  }

  #made(transaction: Parameters<EtcdQuestions["change"]>[0]): boolean {
    const changed = this.#parts.questions.change(transaction);
    if (changed.kind === "done") return changed.result.succeeded;
    throw new CommandError(CommandExit.UNREACHABLE, `etcd does not answer: ${changed.reason}`);
  }

  /** Writes what is said of a session. @returns the session then */
  #say(entry: KeyValue, record: SessionRecord, state: Fencing["state"]): KeyValue {
    const { questions, word } = this.#parts;
    // What its guests have lost counts no more when there is nobody left who would tell that they are gone.
    const { lost, ...kept } = record;
    const counts = lost === undefined || state === "fenced" ? kept : { ...kept, lost };
    const changed = questions.change(say(entry, { ...counts, fencing: { state, ...word } }));
    if (changed.kind === "done" && !changed.result.succeeded) throw this.#forestalled(entry, record);
    // Where the outcome is not known it is looked at; what comes still later compares in vain, or finds a
    // host that takes it back.
    const [now] = questions.get(entry.key);
    const said = now === undefined ? undefined : decodeSession(now).fencing;
    if (now !== undefined && said?.state === state && said.at === word.at && said.by === word.by) return now;
    if (changed.kind === "done") throw this.#forestalled(entry, record);
    throw new CommandError(
      CommandExit.UNREACHABLE,
      `etcd does not answer: ${changed.reason}. Whether host '${record.name}' is ${state} is not known: ` +
        "look with virtlockd cluster hosts, and call this again",
    );
  }

  #awaitObjection(condemned: readonly KeyValue[]): void {
    const { questions } = this.#parts;
    for (let waited = 0; waited < OBJECTION_MS; waited += LOOK_MS) {
      questions.pause(LOOK_MS);
      for (const entry of condemned) {
        const [now] = questions.get(entry.key);
        if (now?.changedAt !== entry.changedAt) throw this.#forestalled(entry, decodeSession(entry));
      }
    }
  }

  /** The session was written anew: by its daemon, or by somebody else who has fenced it. */
  #forestalled({ key }: KeyValue, { name }: SessionRecord): CommandError {
    const [now] = this.#parts.questions.get(key);
    const fencing = now === undefined ? undefined : decodeSession(now).fencing;
    if (fencing?.state === "fenced") {
      return new CommandError(
        CommandExit.PROBLEM,
        `Host '${name}' has been fenced meanwhile, by ${fencing.by} on ${fencing.from}: its locks are free`,
      );
    }
    return new CommandError(
      CommandExit.PROBLEM,
      `Host '${name}' has not been fenced: it lives, for its session in etcd was written anew, which only ` +
        "its daemon does. Its locks stay. End its guests, or cut it off from their disks and say --dead",
    );
  }
}

/** Its guests may be kept from writing by what was done to the host before, and by nothing else. */
function stillLost(name: string, lost: number): CommandError {
  return new CommandError(
    CommandExit.PROBLEM,
    `Host '${name}' has not been fenced: its guests have lost ${
      counted(lost, "lock")
    } when it was fenced before, ` +
      "and were not gone yet when it was heard of last. Shut them down first, or say --dead if the host is off",
  );
}
