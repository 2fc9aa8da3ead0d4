import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue, Transaction, TransactionResult } from "../../../etcd/wire/transaction.ts";
import { ASK_MS, AWAY_MS, HEARD_SECONDS, PROOF_MS } from "./cluster_times.ts";
import { closedText, GIVES_BACK, LEFT } from "./entries.ts";
import { reasonOf } from "../etcd/etcd.ts";
import { type Entered, Entrance } from "./entrance.ts";
import { Losses } from "./losses.ts";
import type { Seen } from "../host/membership_file.ts";
import type { Fencing } from "../keys/fencing_record.ts";
import type { MetaRecord } from "../keys/meta_record.ts";
import { RecordError } from "../keys/record_fields.ts";
import { decodeSession } from "../keys/session_record.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { Conflict } from "./conflict.ts";
import { SameEtcd } from "./same_etcd.ts";
import { followingSession } from "../keys/session_id.ts";
import type { SessionParts, SessionState } from "./session_parts.ts";
import { nextStep } from "./session_step.ts";
import { type Readiness, SessionWaiters } from "./session_waiters.ts";
import { agreement, bump, quieten } from "./session_writes.ts";
import { type Epoch, MOVED, read } from "../keys/transactions.ts";

/**
 * Pause before a failed try to join is repeated, in ms. What it waits for is mostly another host, or a
 * person. A try is three questions, which is no load when all hosts wait for an etcd that is just starting.
 */
const RETRY_MS = 1000;

/**
 * This host's membership in the cluster.
 *
 * All that keeps two hosts apart is a transaction that compares the session's revision: whoever writes the
 * session anew (the bump) makes every change void that may still be on its way, and may then ask what has
 * come of it. No lease and no clock is part of that. docs/cluster.md has the argument.
 */
export class ClusterSession {
  readonly #parts: SessionParts;
  #id: string;
  #state: SessionState = { kind: "joining" };
  /** Whether this life of the daemon has joined. */
  #member = false;
  /** Nonces of which one is in etcd, if nobody else has written there since it joined. */
  #tried = new Set<string>();
  /** Whether it is known what this host has in etcd. */
  #reconciled = false;
  /** The round in which this life has put in what this host has: {@link MetaRecord.round}. */
  #round: string | undefined;
  /** What other sessions had when this host put in what it has. */
  #conflicts: readonly Conflict[] = [];
  /** How many of them its guests had when the session was last written. */
  #lost = 0;
  /** Sessions that this host had until it was fenced, and who has done so last. */
  readonly #fenced = new Set<string>();
  #fencing: Fencing | undefined;
  readonly #losses: Losses;
  /** By the monotonic clock. */
  readonly #begun: number;
  #working = false;
  /** Why etcd is not what it was, as long as this host is no member again. */
  #changed: string | undefined;
  /** Whether this host has told everybody that it is not. */
  #told = false;
  #seen: Seen | undefined;
  readonly #entrance: Entrance;
  #lease: string | undefined;
  readonly #etcd: SameEtcd;
  readonly #waiters: SessionWaiters;
  #troubled: string | undefined;
  #closed = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#id = parts.known ?? parts.nonce();
    const { clock, known, seen } = parts;
    this.#seen = seen;
    this.#losses = new Losses(known, seen);
    this.#begun = clock();
    this.#etcd = seen === undefined
      ? new SameEtcd(clock)
      : new SameEtcd(clock, seen.etcd, Math.max(seen.session, seen.meta));
    this.#entrance = new Entrance({ session: this, keys: parts.keys, host: parts.host });
    this.#waiters = new SessionWaiters({
      loop: parts.loop,
      clock: parts.clock,
      readiness: () => this.#readiness(),
    });
  }

  /** Begins to join. */
  begin(): void {
    this.#settle();
    this.#parts.loop.after(PROOF_MS, () => this.#prove());
  }

  get id(): string {
    return this.#id;
  }

  get state(): SessionState {
    return this.#state;
  }

  /**
   * Why a guest that is paused must not go on with a lock that etcd had for this host; undefined when
   * nothing is known against it.
   */
  get withheld(): string | undefined {
    if (this.#state.kind === "lost") return this.#state.reason;
    if (this.#fencing === undefined || this.#reconciled) return undefined;
    return `this host was fenced by ${this.#fencing.by}, and it is not known yet what other hosts have taken`;
  }

  /** Milliseconds that are left for joining the first time, in which waiting is not hopeless. */
  get joining(): number {
    return this.#reconciled ? 0 : Math.max(0, this.#begun + this.#parts.joinMs - this.#parts.clock());
  }

  /** Milliseconds since etcd has last answered. */
  get silence(): number {
    return this.#etcd.silence;
  }

  /** Calls `ready` when it is known what this host has in etcd, or that it will never be. */
  whenKnown(ready: () => void): void {
    if (this.#reconciled) ready();
    else this.whenLive(Infinity, ready, ready);
  }

  /** The link works, from now on or again. */
  reachable(): void {
    if (this.#epoch === undefined) this.#settle();
    else this.#waiters.wake();
  }

  /** Nothing more is done or told. */
  close(): void {
    this.#closed = true;
    this.#waiters.drop();
  }

  /**
   * Says to all that this host's daemon is stopped while guests have locks, and does nothing any more.
   *
   * @param done called when etcd has answered, or cannot be asked
   */
  retire(done: () => void): void {
    const epoch = this.#epoch;
    const { etcd, host, nonce } = this.#parts;
    this.close();
    if (epoch === undefined || etcd.unreachable !== undefined) return done();
    const transaction = quieten(epoch, { host, mark: nonce(), lost: this.#lost });
    etcd.ask({ kind: "transaction", transaction }, ASK_MS, () => done());
  }

  /** The lease of what tells that this host is heard of; undefined when it has none. */
  get lease(): string | undefined {
    return this.#lease;
  }

  /**
   * Waits until something below a prefix is changed, at this revision or later, or the limit is over.
   *
   * @param done gets whether etcd has done so: else it could not be asked. What is there has to be read
   */
  awaitChange(prefix: string, from: number, limitMs: number, done: (hinted: boolean) => void): void {
    this.#parts.etcd.ask({ kind: "await-change", prefix, from }, limitMs, (answer) => {
      if (!this.#closed) done(answer.kind === "changed");
    });
  }

  /**
   * Waits until changes can be made: {@link SessionWaiters.add}. Whoever waits as long as it takes gives
   * something back, which may be done in a cluster that is closed too.
   */
  whenLive(until: number, ready: (epoch: Epoch) => void, failed: (reason: string) => void): void {
    this.#waiters.add(until, ready, failed);
  }

  /**
   * Puts a transaction to etcd. The answer is looked at first: whether it is the etcd that it was.
   *
   * @param done gets an unknown outcome when this very answer tells that it is not
   */
  ask(transaction: Transaction, done: (answer: Answer) => void): void {
    const asked = this.#etcd.moment;
    this.#parts.etcd.ask({ kind: "transaction", transaction }, ASK_MS, (answer) => {
      if (this.#closed) return;
      if (answer.kind !== "transaction") return done(answer);
      const which = this.#etcd.look(answer.result, asked);
      switch (which.kind) {
        case "same":
          return done(answer);
        case "another":
          this.#changed = which.reason;
          this.#told = false;
          this.doubt(which.reason);
          return done({ kind: "unknown", reason: which.reason });
        case "earlier":
          return done({ kind: "unknown", reason: "it was asked before etcd had changed" });
      }
    });
  }

  /**
   * What became of a change of this session's is not known: nothing goes on before it cannot come any more.
   */
  doubt(reason: string): void {
    if (this.#epoch === undefined) return;
    this.#state = { kind: "unsure", reason };
    this.#settle();
  }

  /** Undefined as long as nothing can be changed. */
  get #epoch(): Epoch | undefined {
    const state = this.#state;
    return state.kind === "live" || state.kind === "closed" ? state.epoch : undefined;
  }

  /**
   * A change was not made, perhaps because the epoch has moved.
   *
   * @returns whether it has: then the change may be tried again as soon as the session is live
   */
  moved(epoch: Epoch, results: TransactionResult["results"]): boolean {
    const [session, meta] = results.map(({ found }) => found[0]?.changedAt ?? 0);
    if (session === epoch.session && meta === epoch.meta) return false;
    if (this.#epoch === epoch) this.doubt(MOVED);
    return true;
  }

  /** Makes every change void that is on its way, and begins anew. The first time it joins. */
  #settle(): void {
    const { keys, host, spaces, holds, etcd, isEarlier } = this.#parts;
    if (this.#working || this.#closed) return;
    if (this.#state.kind === "lost" || this.#epoch !== undefined) return;
    if (etcd.unreachable !== undefined) {
      // When it can be reached it is gone on with.
      if (this.silence > AWAY_MS) this.#trouble(etcd.unreachable);
      this.#parts.loop.after(RETRY_MS, () => this.#settle());
      return;
    }
    this.#working = true;
    const again = (reason: string) => {
      this.#working = false;
      this.#trouble(reason);
      this.#parts.loop.after(RETRY_MS, () => this.#settle());
    };
    const now = () => {
      this.#working = false;
      this.#settle();
    };
    const lost = (reason: string) => {
      this.#working = false;
      this.#lose(reason);
    };
    this.ask(read(keys.meta, keys.host(host.id), keys.session(this.#id)), (answer) => {
      if (answer.kind !== "transaction") return again(reasonOf(answer));
      const [meta, hostKey, session] = answer.result.results.map(({ found }) => found[0]);
      try {
        const step = nextStep({ meta, host: hostKey, session }, {
          host,
          spaces,
          session: this.#id,
          nonces: this.#member ? this.#tried : undefined,
          keeps: (this.#seen?.session ?? 0) > 0 && holds(),
          seen: this.#seen,
          changed: this.#changed,
          told: this.#told,
          fenced: this.#fenced,
          isEarlier,
        });
        switch (step.kind) {
          case "wait":
            return again(step.reason);
          case "lost":
            return lost(step.reason);
          case "other-session":
            this.#id = step.session;
            return now();
          case "found":
            return this.#agree(0, "forming", "", now, again);
          case "close":
            return this.#agree(step.meta, "recovering", step.reason, now, again);
          case "fenced":
            this.#begunAnew(step.fencing);
            return now();
          case "left":
            return this.#left(now, lost);
          case "bump":
            return this.#bump(step, { session, heardAt: hostKey?.changedAt ?? 0 }, now, again);
        }
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        return again(error.message);
      }
    });
  }

  /** The host was made to leave: its daemon does not come back by itself, but the next one does. */
  #left(now: () => void, lost: (reason: string) => void): void {
    if (this.#member) {
      this.#parts.left();
      return lost(LEFT);
    }
    this.#id = this.#parts.nonce();
    if (this.#seen !== undefined) this.#seen = { ...this.#seen, session: 0 };
    now();
  }

  /** Makes a cluster, or closes the one that there is, until all hosts have put in what they have. */
  #agree(
    before: number,
    phase: "forming" | "recovering",
    why: string,
    now: () => void,
    again: (reason: string) => void,
  ): void {
    const { keys, spaces, nonce } = this.#parts;
    const meta = { spaces, phase, round: nonce(), expect: [], without: [], why };
    this.ask(agreement(keys, before, meta), (answer) => {
      if (answer.kind !== "transaction") return again(reasonOf(answer));
      if (answer.result.succeeded) this.#told = phase === "recovering";
      now();
    });
  }

  /**
   * This host was fenced, and lives. Nothing of that session can change anything any more. In another one it
   * takes what nobody else has by now.
   */
  #begunAnew(fencing: Fencing): void {
    this.#parts.observer.clusterFenced(fencing);
    this.#fenced.add(this.#id);
    this.#fencing = fencing;
    this.#losses.fenced(fencing.by);
    this.#id = followingSession(this.#id);
    this.#member = false;
    this.#tried = new Set();
    this.#reconciled = false;
    this.#round = undefined;
    this.#lease = undefined;
    if (this.#seen !== undefined) this.#seen = { ...this.#seen, session: 0 };
  }

  /** This host has a lock again that was another session's. */
  regained(resource: Resource): void {
    this.#conflicts = this.#conflicts.filter((conflict) => conflict.resource !== resource);
  }

  /** How many locks its guests have that are another session's. */
  get lost(): number {
    return this.#conflicts.filter(({ resource }) => this.#parts.has(resource)).length;
  }

  /** @param before what is in etcd of this host @throws RecordError when its session is none */
  #bump(
    { meta, metaAt }: { readonly meta: MetaRecord; readonly metaAt: number },
    { session: before, heardAt }: {
      readonly session: KeyValue | undefined;
      /** Revision at which it was last told that it is heard of. */
      readonly heardAt: number;
    },
    now: () => void,
    again: (reason: string) => void,
  ): void {
    const { keys, host, nonce, keep, etcd } = this.#parts;
    const unkept = keep(this.#id, this.#seen);
    if (unkept !== undefined) return again(unkept);
    const known = before === undefined ? undefined : decodeSession(before);
    // Before this life has looked what others have, what an earlier one has found counts.
    const lost = this.#reconciled ? this.lost : known?.lost ?? 0;
    if (known?.fencing !== undefined) this.#parts.observer.clusterCondemned(known.fencing);
    etcd.ask({ kind: "grant-lease", seconds: HEARD_SECONDS }, ASK_MS, (granted) => {
      if (this.#closed) return;
      if (granted.kind !== "lease") return again(reasonOf(granted));
      const mark = nonce();
      this.#tried.add(mark);
      const sessionKey = keys.session(this.#id);
      const written = { session: this.#id, host, mark, lost, lease: granted.lease };
      this.ask(
        bump(keys, { session: before?.changedAt ?? 0, meta: metaAt, host: heardAt }, written),
        (answer) => {
          switch (answer.kind) {
            case "transaction":
              break;
            case "refused":
              this.#tried.delete(mark);
              return again(answer.reason);
            case "lease":
            case "changed":
            case "versions":
            case "full":
            case "unknown":
              // The nonce stays among those that were tried: it may still come, or have come.
              return again(reasonOf(answer));
          }
          if (!answer.result.succeeded) {
            this.#tried.delete(mark);
            return now();
          }
          this.#member = true;
          this.#lost = lost;
          this.#tried = new Set([mark]);
          this.#lease = granted.lease;
          this.#entered(
            { sessionKey, session: answer.result.revision, metaKey: keys.meta, meta: metaAt },
            meta,
            now,
            again,
          );
        },
      );
    });
  }

  #entered(epoch: Epoch, meta: MetaRecord, now: () => void, again: (reason: string) => void): void {
    const { reconcile, observer, keep } = this.#parts;
    // What etcd had before it was changed counts no more: the cluster is closed, and everybody knows.
    this.#changed = undefined;
    this.#told = false;
    const { round } = meta;
    this.#seen = {
      etcd: this.#etcd.cluster,
      session: epoch.session,
      meta: epoch.meta,
      round,
      ...this.#losses.isSettled(round) ? { settled: true } : {},
    };
    const unkept = keep(this.#id, this.#seen);
    if (unkept !== undefined) return again(unkept);
    if (this.#round === meta.round) return this.#go(epoch, meta);
    reconcile(epoch, (outcome) => {
      if (this.#state.kind === "lost" || this.#closed) return;
      if (typeof outcome === "string") return again(outcome);
      if (!this.#reconciled) observer.clusterJoined(this.#id, this.#etcd.cluster);
      this.#reconciled = true;
      if (meta.phase === "open") {
        this.#settled(round, outcome);
        return this.#go(epoch, meta);
      }
      // Another host that has one of these would take it for this one's.
      if (this.#parts.givesBack()) {
        const reason = closedText(
          meta,
          GIVES_BACK,
        );
        return this.#close(epoch, { kind: "listed", reason });
      }
      this.#entrance.enter(epoch, meta, outcome, (entered) => {
        if (this.#state.kind === "lost" || this.#closed) return;
        switch (entered.kind) {
          case "failed":
            return again(entered.reason);
          case "opened":
            this.#settled(round, outcome);
            return now();
          case "settled":
            this.#settled(round, outcome);
            return this.#close(epoch, entered);
          case "listed":
            return this.#close(epoch, entered);
        }
      });
    }, meta.phase === "recovering");
  }

  /** It is known what other sessions have of what this host has. */
  #settled(round: string, conflicts: readonly Conflict[]): void {
    const reason = this.#losses.reasonIn(round);
    for (const { resource } of conflicts) this.#parts.observer.clusterDoubtful(resource, reason);
    this.#losses.settled(round);
    this.#round = round;
    this.#conflicts = conflicts;
  }

  /**
   * Keeps that what this host has is in etcd. Not at once: what was in doubt by then has to be recorded
   * before, or the next daemon would take it for lost since.
   */
  #keepSettled(): void {
    const seen = this.#seen;
    if (seen === undefined || seen.settled === true || !this.#losses.isSettled(seen.round)) return;
    const settled = { ...seen, settled: true };
    const unkept = this.#parts.keep(this.#id, settled);
    if (unkept === undefined) this.#seen = settled;
    else this.doubt(unkept);
  }

  /** What this host has is in etcd. */
  #go(epoch: Epoch, meta: MetaRecord): void {
    if (meta.phase !== "open") {
      const reason = closedText(meta, "this host has put in what it has");
      return this.#close(epoch, { kind: "settled", reason });
    }
    this.#working = false;
    this.#state = { kind: "live", epoch };
    if (this.#troubled !== undefined) this.#parts.observer.clusterRecovered();
    this.#troubled = undefined;
    this.#waiters.wake();
  }

  #close(epoch: Epoch, { kind, reason }: Extract<Entered, { kind: "settled" | "listed" }>): void {
    this.#working = false;
    this.#state = { kind: "closed", epoch, entered: kind, reason };
    this.#trouble(reason);
    this.#waiters.wake();
  }

  /** Shows that this host is there, and looks whether it is still a member. */
  #prove(): void {
    if (this.#closed) return;
    this.#parts.loop.after(PROOF_MS, () => this.#prove());
    const epoch = this.#epoch;
    if (epoch === undefined) return;
    const { etcd } = this.#parts;
    const lease = this.#lease;
    if (lease !== undefined) {
      etcd.ask({ kind: "keep-lease", lease }, ASK_MS, (answer) => {
        // Without a lease nothing is less safe; the next bump makes another one.
        if (answer.kind === "lease" && answer.seconds === 0 && this.#lease === lease) {
          this.#lease = undefined;
          this.doubt("this host was not heard of for a while");
        }
      });
    }
    this.ask(read(epoch.sessionKey, epoch.metaKey), (answer) => {
      if (this.#epoch !== epoch) return;
      // A copy of this host, made of its memory, finds that its connection has gone. It must not go on in a
      // session that another one has too: whoever writes it anew is the only one that does.
      if (answer.kind !== "transaction") return this.doubt(reasonOf(answer));
      if (this.moved(epoch, answer.result.results)) return;
      // The session tells everybody how many guests run on disks that are not theirs any more.
      if (this.#lost !== this.lost) return this.doubt("guests have lost locks, or ended that had");
      this.#keepSettled();
      this.#waitOpen();
    });
  }

  /** When the cluster is closed: perhaps it can be opened now. */
  #waitOpen(): void {
    const state = this.#state;
    if (state.kind !== "closed") return;
    if (state.entered === "listed") return this.doubt("other hosts may have given back what this one has");
    this.#entrance.open((entered) => {
      if (this.#state !== state) return;
      switch (entered.kind) {
        case "opened":
          return this.doubt("the cluster has just been opened");
        case "settled":
        case "listed":
          return this.#close(state.epoch, entered);
        case "failed":
          return this.#trouble(`it cannot be opened: ${entered.reason}`);
      }
    });
  }

  #trouble(reason: string): void {
    const { kind } = this.#state;
    // What keeps it so by now, not what it began with.
    if (kind === "joining" || kind === "unsure") this.#state = { kind, reason };
    if (this.#troubled === reason) return;
    this.#troubled = reason;
    this.#parts.observer.clusterTroubled(reason);
  }

  #lose(reason: string): void {
    if (this.#state.kind === "lost") return;
    this.#state = { kind: "lost", reason };
    this.#parts.observer.clusterLost(reason);
    this.#waiters.wake();
  }

  #readiness(): Readiness {
    const state = this.#state;
    const { unreachable } = this.#parts.etcd;
    if (state.kind === "lost") return { kind: "never", reason: state.reason };
    if (unreachable === undefined) {
      if (state.kind === "live") return { kind: "ready", epoch: state.epoch };
      if (state.kind === "closed") return { kind: "closed", epoch: state.epoch, reason: state.reason };
    }
    return { kind: "wait", hopeless: this.silence > AWAY_MS && this.joining === 0, reason: this.#why() };
  }

  #why(): string {
    const state = this.#state;
    const told = this.#troubled ?? (state.kind === "unsure" ? state.reason : undefined);
    const { unreachable } = this.#parts.etcd;
    return unreachable ?? told ?? "etcd has not answered";
  }
}
