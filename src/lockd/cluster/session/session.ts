import type { Answer, KeyRange } from "../../../etcd/wire/link_messages.ts";
import type { Transaction, TransactionResult } from "../../../etcd/wire/transaction.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { MetaRecord } from "../keys/meta_record.ts";
import { type Epoch, MOVED } from "../keys/transactions.ts";
import { Admission } from "./admission.ts";
import { ASK_MS, AWAY_MS } from "./cluster_times.ts";
import { Entrance } from "./entrance.ts";
import { Losses } from "./losses.ts";
import { OwnSession } from "./own_session.ts";
import { SessionEtcd, type Watched } from "./session_etcd.ts";
import { type Joined, SessionJoin } from "./session_join.ts";
import type { SessionParts, SessionState } from "./session_parts.ts";
import { type ProvenSession, SessionProof } from "./session_proof.ts";
import { SessionStanding } from "./session_standing.ts";
import { SessionWaiters } from "./session_waiters.ts";
import { quieten } from "./session_writes.ts";

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
export class ClusterSession implements ProvenSession {
  readonly #parts: SessionParts;
  readonly #own: OwnSession;
  readonly #standing: SessionStanding;
  /** By the monotonic clock. */
  readonly #begun: number;
  /** Since when etcd could be asked, by the same. */
  #reachable: number;
  #working = false;
  /** Whether it is gone on with in a moment: once, however often it comes to that. */
  #waits = false;
  readonly #join: SessionJoin;
  readonly #losses: Losses;
  readonly #admission: Admission;
  readonly #proof: SessionProof;
  readonly #entrance: Entrance;
  readonly #etcd: SessionEtcd;
  readonly #waiters: SessionWaiters;
  #closed = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    const { clock, note, etcd, loop, keys, host } = parts;
    const own = new OwnSession(note ?? { session: parts.nonce(), nonces: [] });
    this.#own = own;
    this.#losses = new Losses(note);
    this.#begun = clock();
    this.#reachable = this.#begun;
    this.#etcd = new SessionEtcd({
      etcd,
      clock,
      seen: note?.seen,
      closed: () => this.#closed,
      another: (reason) => {
        own.differs(reason);
        this.doubt(reason);
      },
    });
    this.#entrance = new Entrance({ session: this, keys, host });
    this.#standing = new SessionStanding({
      etcd,
      observer: parts.observer,
      changed: () => this.#waiters.wake(),
    });
    const readiness = () => this.#standing.readiness(this.#unanswered, this.joining);
    this.#waiters = new SessionWaiters({ loop, clock, readiness });
    this.#admission = new Admission({
      parts,
      own,
      losses: this.#losses,
      entrance: this.#entrance,
      cluster: () => this.#etcd.cluster,
      over: () => this.state.kind === "lost" || this.#closed,
    });
    this.#join = new SessionJoin({
      parts,
      own,
      ask: (transaction, done) => this.#etcd.ask(transaction, done),
      closed: () => this.#closed,
      lost: (before) => this.#lostAtMost(before),
      fenced: ({ by }) => {
        this.#losses.fenced(by);
        this.#admission.beginAnew();
      },
      goesOn: () => this.#losses.goesOn(),
    });
    this.#proof = new SessionProof({
      etcd,
      loop,
      place: keys.host(host.id),
      own,
      session: this,
      lost: () => this.#lostAtMost(own.lost),
      data: () => host.data?.(),
      look: parts.look,
      proven: () => {
        this.#keepSettled();
        this.#waitOpen();
      },
    });
  }

  /** Begins to join. */
  begin(): void {
    this.#settle();
    this.#proof.begin();
  }

  get id(): string {
    return this.#own.id;
  }

  get state(): SessionState {
    return this.#standing.state;
  }

  /**
   * Why a guest that is paused must not go on with a lock that etcd had for this host; undefined when
   * nothing is known against it.
   */
  get withheld(): string | undefined {
    if (this.state.kind === "lost") return this.state.reason;
    const { fencedBy } = this.#losses;
    if (fencedBy === undefined || this.#admission.reconciled) return undefined;
    const by = fencedBy === "" ? "" : ` by ${fencedBy}`;
    return `this host was fenced${by}, and it is not known yet what other hosts have taken`;
  }

  /**
   * Milliseconds that are left for joining the first time since the kernel was started, in which waiting is
   * not hopeless.
   */
  get joining(): number {
    const { note, joinMs, clock } = this.#parts;
    // An earlier daemon that has only tried to join has left a note too.
    const wasMember = note?.seen !== undefined || this.#admission.reconciled;
    return wasMember ? 0 : Math.max(0, this.#begun + joinMs() - clock());
  }

  /** Milliseconds since etcd has last answered. */
  get silence(): number {
    return this.#etcd.silence;
  }

  /** Milliseconds in which etcd could have answered, and has not: not while its link is being started. */
  get #unanswered(): number {
    const { etcd, clock } = this.#parts;
    return etcd.starting ? 0 : Math.min(this.silence, clock() - this.#reachable);
  }

  /** Calls `ready` when it is known what this host has in etcd, or that it will never be. */
  whenKnown(ready: () => void): void {
    if (this.#admission.reconciled) ready();
    else this.whenLive(Infinity, ready, ready);
  }

  /** The link works, from now on or again. */
  reachable(): void {
    this.#reachable = this.#parts.clock();
    if (this.epoch === undefined) this.#settle();
    else this.#waiters.wake();
  }

  /** Whether nothing is done any more. */
  get closed(): boolean {
    return this.#closed;
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
    const epoch = this.epoch;
    const { etcd, host, nonce, keep } = this.#parts;
    this.close();
    if (epoch === undefined || etcd.unreachable !== undefined) return done();
    const mark = nonce();
    this.#own.tries(mark);
    // What is not noted the next daemon would take for a copy's.
    if (keep(this.#own.note) !== undefined) return done();
    const transaction = quieten(epoch, { host, mark, lost: this.#own.lost });
    etcd.ask({ kind: "transaction", transaction }, ASK_MS, () => done());
  }

  /** The lease of what tells that this host is heard of; undefined when it has none. */
  get lease(): string | undefined {
    return this.#own.lease;
  }

  /** See {@link SessionEtcd.awaitChange}. */
  awaitChange(prefix: string, from: number, limitMs: number, done: (hinted: boolean) => void): void {
    this.#etcd.awaitChange(prefix, from, limitMs, done);
  }

  /** See {@link SessionEtcd.awaitDelete}. */
  awaitDelete(range: KeyRange, from: number, limitMs: number, done: (watched: Watched) => void): void {
    this.#etcd.awaitDelete(range, from, limitMs, done);
  }

  /**
   * Waits until changes can be made: {@link SessionWaiters.add}. Whoever waits as long as it takes gives
   * something back, which may be done in a cluster that is closed too.
   */
  whenLive(until: number, ready: (epoch: Epoch) => void, failed: (reason: string) => void): void {
    this.#waiters.add(until, ready, failed);
  }

  /** Puts a transaction to etcd: {@link SessionEtcd.ask}. */
  ask(transaction: Transaction, done: (answer: Answer) => void): void {
    this.#etcd.ask(transaction, done);
  }

  /**
   * What became of a change of this session's is not known: nothing goes on before it cannot come any more.
   */
  doubt(reason: string): void {
    if (this.epoch === undefined) return;
    this.#standing.unsure(reason);
    this.#settle();
  }

  /** Undefined as long as nothing can be changed. */
  get epoch(): Epoch | undefined {
    return this.#standing.epoch;
  }

  /**
   * A change was not made, perhaps because the epoch has moved.
   *
   * @returns whether it has: then the change may be tried again as soon as the session is live
   */
  moved(epoch: Epoch, results: TransactionResult["results"]): boolean {
    const [session, meta] = results.map(({ found }) => found[0]?.changedAt ?? 0);
    if (session === epoch.session && meta === epoch.meta) return false;
    if (this.epoch === epoch) this.doubt(MOVED);
    return true;
  }

  /** Makes every change void that is on its way, and begins anew. The first time it joins. */
  #settle(): void {
    const { etcd } = this.#parts;
    if (this.#working || this.#closed) return;
    if (this.state.kind === "lost" || this.epoch !== undefined) return;
    if (etcd.unreachable !== undefined) {
      // When it can be reached it is gone on with.
      if (this.silence > AWAY_MS) this.#standing.trouble(etcd.unreachable);
      return this.#settleLater();
    }
    this.#working = true;
    this.#join.step((joined) => this.#joined(joined));
  }

  #joined(joined: Joined): void {
    switch (joined.kind) {
      case "again":
        return this.#again(joined.reason);
      case "now":
        return this.#now();
      case "lost":
        this.#working = false;
        if (joined.givenUp !== undefined) this.#parts.gaveUp(joined.givenUp.doubt);
        if (joined.left === true) this.#parts.left();
        return this.#standing.lose(joined.reason, joined.givenUp);
      case "written":
        return this.#written(joined.epoch, joined.meta);
    }
  }

  #again(reason: string): void {
    this.#working = false;
    this.#standing.trouble(reason);
    this.#settleLater();
  }

  #settleLater(): void {
    if (this.#waits) return;
    this.#waits = true;
    this.#parts.loop.after(RETRY_MS, () => {
      this.#waits = false;
      this.#settle();
    });
  }

  #now(): void {
    this.#working = false;
    this.#settle();
  }

  /** What was on its way before is void: what this host has can be put in. */
  #written(epoch: Epoch, meta: MetaRecord): void {
    const { round } = meta;
    const seen = {
      etcd: this.#etcd.cluster,
      session: epoch.session,
      meta: epoch.meta,
      round,
      ...this.#losses.noted(round, this.#own.seen),
    };
    this.#own.arrived(seen);
    const unkept = this.#parts.keep(this.#own.note);
    if (unkept !== undefined) return this.#again(unkept);
    this.#admission.admit(epoch, meta, (admitted) => {
      // What all can read of its lost locks is to be right before anything is done in this session.
      const { lost } = this.#own;
      if (admitted.kind !== "again" && lost !== this.#lostAtMost(lost)) return this.#now();
      switch (admitted.kind) {
        case "again":
          return this.#again(admitted.reason);
        case "now":
          return this.#now();
        case "live":
          this.#working = false;
          return this.#standing.live(epoch);
        case "settled":
        case "listed":
          this.#working = false;
          return this.#standing.closed(epoch, admitted);
      }
    });
  }

  /**
   * Keeps that what this host has is in etcd. Not at once: what was in doubt by then has to be recorded
   * before, or the next daemon would take it for lost since.
   */
  #keepSettled(): void {
    const { seen } = this.#own;
    if (seen === undefined || seen.settled === true || !this.#losses.isSettled(seen.round)) return;
    const { fenced: _, first: __, ...kept } = seen;
    const settled = { ...kept, settled: true };
    const unkept = this.#parts.keep({ ...this.#own.note, seen: settled });
    if (unkept === undefined) this.#own.sees(settled);
    else this.doubt(unkept);
  }

  /** What this host has is put in anew, for more of it is known. @param reason how it has come to that */
  putInAgain(reason: string): void {
    this.#admission.putInAgain();
    this.doubt(reason);
  }

  /** This host has a lock again that was another session's. */
  regained(resource: Resource): void {
    this.#admission.regained(resource);
  }

  /** How many locks its guests have that are another session's. */
  get lost(): number {
    return this.#admission.lost;
  }

  /**
   * The same, also as long as it is not known: all behind a fence, else what an earlier life has found.
   *
   * @param before what is written of that
   */
  #lostAtMost(before: number): number {
    if (this.#losses.fencedBy !== undefined) return Math.max(before, this.#parts.held());
    return this.#admission.reconciled ? this.lost : before;
  }

  /** When the cluster is closed: perhaps it can be opened now. */
  #waitOpen(): void {
    const state = this.state;
    if (state.kind !== "closed") return;
    if (state.entered === "listed") return this.doubt("other hosts may have given back what this one has");
    this.#entrance.open((entered) => {
      if (this.state !== state) return;
      switch (entered.kind) {
        case "opened":
          return this.doubt("the cluster has just been opened");
        case "settled":
        case "listed":
          return this.#standing.closed(state.epoch, entered);
        case "failed":
          return this.#standing.trouble(`it cannot be opened: ${entered.reason}`);
      }
    });
  }
}
