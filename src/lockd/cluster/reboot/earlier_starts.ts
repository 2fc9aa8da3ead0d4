import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { ASK_MS, OBJECTION_MS, PROOF_MS } from "../session/cluster_times.ts";
import { type Etcd, reasonOf } from "../etcd/etcd.ts";
import { dropOfOwn, sayOfOwn } from "../keys/fencing.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { listAll } from "../session/list_all.ts";
import { distrustOf, isOfEarlierStart, type RebootTrust } from "./reboot_trust.ts";
import type { Fencing } from "../keys/fencing_record.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import { readable, readOrWhy } from "../keys/record_fields.ts";
import { decodeSession, type SessionRecord } from "../keys/session_record.ts";
import type { ClusterSession } from "../session/session.ts";
import { type Epoch, EPOCH_READS, MOVED, read } from "../keys/transactions.ts";

/** Who has fenced a session, when it is no person and no program. */
const BY_REBOOT = "the host itself after a reboot";
/** Pause between two looks at whether an earlier start is heard of, in ms. */
const LOOK_MS = 1000;
/** Pause before it is looked again what has become of locks that stay, in ms: a person frees them. */
const AGAIN_MS = 60_000;

/** What an earlier start of this host has in etcd, which stays: part of the status document. */
export interface KeptStart {
  readonly session: string;
  /** The kernel's boot id. */
  readonly boot: string;
  /** How many locks, and marks of paused guests. */
  readonly locks: number;
  /** Why it is not certain that its guests are gone. */
  readonly reason: string;
}

/** What this host makes of its earlier starts: part of the status document, see docs/json.md. */
export interface RebootStatus {
  readonly state: "trusted" | "untrusted";
  /** Why it is not. */
  readonly reason?: string;
  /** Those that were fenced since the daemon was started. */
  readonly fenced: number;
  readonly kept: readonly KeptStart[];
}

/** Told what becomes of what earlier starts of this host have. */
export interface EarlierStartsObserver {
  /** It is over: what it had is free. */
  earlierStartFenced(session: string, boot: string, locks: number): void;
  earlierStartKept(start: KeptStart): void;
}

/** What ending earlier starts needs. */
export interface EarlierStartsParts {
  readonly session: Pick<ClusterSession, "ask" | "lease">;
  readonly etcd: Pick<Etcd, "ask">;
  readonly keys: Pick<ClusterKeys, "sessions" | "session" | "ownList" | "silence">;
  readonly loop: Pick<EventLoop, "after">;
  readonly host: { readonly id: string; readonly name: string; readonly boot: string };
  readonly trust: RebootTrust;
  /** Whether a process lives, of which a lock's record tells. */
  readonly lives: (pid: number, start: number) => boolean;
  /** Takes away what a fenced session has, in its own time. */
  readonly sweep: (session: string, revision: number) => void;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly observer: EarlierStartsObserver;
}

/** An earlier start, and what it has. */
interface Start {
  readonly session: string;
  readonly entry: KeyValue;
  readonly record: SessionRecord;
  readonly locks: number;
}

type Done = (failure: string | undefined) => void;

/**
 * What a host had before its kernel was started again, and has in etcd still: guests that are started with
 * the host need it. When the start can be trusted the host fences that session itself. It condemns it first,
 * as whoever fences does: what writes it anew meanwhile lives, whatever this machine tells of itself, and
 * keeps its locks. Every word compares this host's own session too.
 *
 * That is done before this host is a member, so that whoever asks for a lock waits for it.
 */
export class EarlierStarts {
  readonly #parts: EarlierStartsParts;
  /** Sessions that were written anew when they were condemned. */
  readonly #objected = new Set<string>();
  readonly #told = new Map<string, string>();
  #kept: readonly KeptStart[] = [];
  #fenced = 0;
  #looks = false;

  constructor(parts: EarlierStartsParts) {
    this.#parts = parts;
  }

  get status(): RebootStatus {
    const { trust } = this.#parts;
    const kept = this.#kept;
    const fenced = this.#fenced;
    return trust.kind === "trusted"
      ? { state: "trusted", fenced, kept }
      : { state: "untrusted", reason: trust.reason, fenced, kept };
  }

  /** Ends what can be ended. `done` gets why it could not be told what there is: then it is tried again. */
  end(epoch: Epoch, done: Done): void {
    const { session, keys } = this.#parts;
    listAll(session, keys.sessions, (found) => {
      if (typeof found === "string") return done(found);
      const entries = found.map((entry) => ({ entry, record: readOrWhy(() => decodeSession(entry)) }));
      const all = entries.map(({ record }) => record);
      const earlier = entries.flatMap(({ entry, record }) => {
        if (typeof record === "string" || !isOfEarlierStart(record, this.#own)) return [];
        return [{ session: entry.key.slice(keys.sessions.length), entry, record }];
      });
      const [trusted, kept]: [Start[], KeptStart[]] = [[], []];
      const each = (index: number): void => {
        const start = earlier[index];
        if (start === undefined) {
          this.#keep(kept);
          return this.#condemn(epoch, trusted, done);
        }
        this.#judge(start, all, (judged) => {
          if (typeof judged === "string") return done(judged);
          if (judged.kind === "empty") {
            return this.#drop(
              epoch,
              start,
              (failure) => failure === undefined ? each(index + 1) : done(failure),
            );
          }
          if (judged.kind === "trusted") trusted.push(judged.start);
          if (judged.kind === "kept") kept.push(judged.start);
          each(index + 1);
        });
      };
      each(0);
    });
  }

  get #own(): { readonly host: string; readonly boot: string } {
    const { id: host, boot } = this.#parts.host;
    return { host, boot };
  }

  /** Whether a session may be fenced. `done` gets why that cannot be told. */
  #judge(
    start: Omit<Start, "locks">,
    sessions: readonly (SessionRecord | string)[],
    done: (
      judged: string | { kind: "nothing" | "empty" } | { kind: "trusted"; start: Start } | {
        kind: "kept";
        start: KeptStart;
      },
    ) => void,
  ): void {
    const { session, keys, trust, sweep } = this.#parts;
    const { fencing, boot } = start.record;
    listAll(session, keys.ownList(start.session), (found) => {
      if (typeof found === "string") return done(found);
      const facts = { ...this.#own, trust, sessions };
      if (found.length === 0) {
        // What somebody has said of it stays, with who has.
        const goes = fencing === undefined && distrustOf(start.record, facts) === undefined;
        return done({ kind: goes ? "empty" : "nothing" });
      }
      if (fencing?.state === "fenced") {
        // Another daemon of a start of this host has begun to take it away.
        if (fencing.boot !== undefined) sweep(start.session, start.entry.changedAt);
        return done({ kind: "nothing" });
      }
      const reason = distrustOf(start.record, facts) ?? this.#seen(start.session, found);
      const locks = found.length;
      if (reason === undefined) return done({ kind: "trusted", start: { ...start, locks } });
      done({ kind: "kept", start: { session: start.session, boot, locks, reason } });
    });
  }

  /**
   * Takes away the record of a start that has nothing: each start would leave one for ever. It need not be
   * condemned, for nobody gets anything by it. One that is not as it was read stays for the next start.
   */
  #drop(epoch: Epoch, start: Omit<Start, "locks">, done: Done): void {
    const { session, keys } = this.#parts;
    const { session: id, entry } = start;
    session.ask(dropOfOwn(epoch, entry, keys.ownList(id), keys.silence(id)), (answer) => {
      done(answer.kind === "transaction" ? undefined : reasonOf(answer));
    });
  }

  /** What shows that an earlier start goes on, whatever this machine tells of itself. */
  #seen(session: string, own: readonly KeyValue[]): string | undefined {
    if (this.#objected.has(session)) {
      return "its session was written anew when it was condemned: it lives, and this host is a copy of it, or it of this one";
    }
    const checked = new Set<string>();
    for (const entry of own) {
      const holder = readOrWhy(() => decodeHolder(entry));
      if (typeof holder === "string") return holder;
      const { pid, start, domain } = holder;
      const process = `${pid} ${start}`;
      if (checked.has(process)) continue;
      checked.add(process);
      if (!this.#parts.lives(pid, start)) continue;
      return `a process of it, ${pid} of domain '${domain}', may run here, which none can that has begun before a reboot`;
    }
    return undefined;
  }

  /** Says of sessions that they are about to be fenced, and waits whether their hosts object. */
  #condemn(epoch: Epoch, starts: readonly Start[], done: Done): void {
    if (starts.length === 0) return done(undefined);
    const condemned: Start[] = [];
    const each = (index: number): void => {
      const start = starts[index];
      if (start === undefined) return this.#wait(epoch, condemned, 0, done);
      // Also by somebody else: what is said for good compares that very word.
      if (start.record.fencing !== undefined) {
        condemned.push(start);
        return each(index + 1);
      }
      this.#say(epoch, start, "condemned", (said) => {
        if (typeof said === "string") return done(said);
        if (said !== undefined) condemned.push({ ...start, entry: said, record: decodeSession(said) });
        each(index + 1);
      });
    };
    each(0);
  }

  #wait(epoch: Epoch, starts: readonly Start[], waited: number, done: Done): void {
    if (starts.length === 0 || waited >= OBJECTION_MS) return this.#finish(epoch, starts, done);
    const { loop, session, keys } = this.#parts;
    loop.after(LOOK_MS, () => {
      if (waited % PROOF_MS === 0) this.#keepHeard();
      session.ask(read(...starts.map((start) => keys.session(start.session))), (answer) => {
        if (answer.kind !== "transaction") return done(reasonOf(answer));
        const still = starts.filter((start, index) =>
          this.#stands(start, answer.result.results[index]?.found[0])
        );
        this.#wait(epoch, still, waited + LOOK_MS, done);
      });
    });
  }

  /** While it is not a member yet nobody else shows that this host is there. */
  #keepHeard(): void {
    const { session: { lease }, etcd } = this.#parts;
    // Without one nothing is less safe: who keeps it afterwards makes another one.
    if (lease !== undefined) etcd.ask({ kind: "keep-lease", lease }, ASK_MS, () => {});
  }

  /** Whether a session is as it was condemned. */
  #stands(start: Start, now: KeyValue | undefined): boolean {
    if (now?.changedAt === start.entry.changedAt) return true;
    const record = now === undefined ? undefined : readable(() => decodeSession(now));
    // Somebody else has fenced it, or taken it away.
    if (now === undefined || record?.fencing?.state === "fenced") return false;
    this.#objected.add(start.session);
    const { session, record: { boot }, locks } = start;
    const reason = this.#seen(session, []) ?? "";
    this.#keep([...this.#kept, { session, boot, locks, reason }]);
    return false;
  }

  #finish(epoch: Epoch, starts: readonly Start[], done: Done): void {
    const [start, ...others] = starts;
    if (start === undefined) return done(undefined);
    this.#say(epoch, start, "fenced", (said) => {
      if (typeof said === "string") return done(said);
      if (said !== undefined) {
        this.#fenced++;
        this.#parts.observer.earlierStartFenced(start.session, start.record.boot, start.locks);
        this.#parts.sweep(start.session, said.changedAt);
      }
      this.#finish(epoch, others, done);
    });
  }

  /**
   * Writes what is said of a session, if that is as it was read, and this host's own too.
   *
   * @param done gets the session then, undefined when it was written anew or is fenced by somebody else, or
   *   why it is not known
   */
  #say(
    epoch: Epoch,
    start: Start,
    state: Fencing["state"],
    done: (said: KeyValue | string | undefined) => void,
  ): void {
    const { session, host, now } = this.#parts;
    const { entry, record } = start;
    // What its guests had lost counts no more: they are gone.
    const { lost: _, ...kept } = record;
    const fencing = { state, by: BY_REBOOT, from: host.name, at: now(), boot: host.boot };
    const transaction = sayOfOwn(epoch, entry, { ...kept, fencing });
    session.ask(transaction, (answer) => {
      if (answer.kind !== "transaction") return done(reasonOf(answer));
      const { succeeded, revision, results } = answer.result;
      const [written] = transaction.success;
      if (succeeded && written?.op === "put") {
        return done({ key: entry.key, value: written.value, changedAt: revision });
      }
      const found = results[EPOCH_READS]?.found[0];
      // Else it is this host's own session, or what all agree upon, that has changed.
      if (found?.changedAt === entry.changedAt) return done(MOVED);
      this.#stands(start, found);
      done(undefined);
    });
  }

  /** Tells what stays, once for each reason. */
  #keep(kept: readonly KeptStart[]): void {
    this.#kept = kept;
    for (const start of kept) {
      if (this.#told.get(start.session) === start.reason) continue;
      this.#told.set(start.session, start.reason);
      this.#parts.observer.earlierStartKept(start);
    }
    this.#lookLater();
  }

  /** Looks now and then whether somebody has freed what stays. */
  #lookLater(): void {
    const { loop, session, keys } = this.#parts;
    if (this.#looks || this.#kept.length === 0) return;
    this.#looks = true;
    loop.after(AGAIN_MS, () => {
      this.#looks = false;
      const kept = this.#kept;
      if (kept.length === 0) return;
      session.ask(read(...kept.map((start) => keys.session(start.session))), (answer) => {
        // Otherwise it was looked at anew meanwhile.
        if (answer.kind === "transaction" && this.#kept === kept) {
          this.#kept = kept.filter((_, index) => isOpen(answer.result.results[index]?.found[0]));
        }
        this.#lookLater();
      });
    });
  }
}

/** Whether nobody has ended a session. What cannot be read is nobody's end. */
function isOpen(entry: KeyValue | undefined): boolean {
  if (entry === undefined) return false;
  const record = readable(() => decodeSession(entry));
  return record === undefined || (record.left !== true && record.fencing?.state !== "fenced");
}
