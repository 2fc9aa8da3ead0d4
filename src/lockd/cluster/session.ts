import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Answer } from "../../etcd/wire/link_messages.ts";
import type { Transaction, TransactionResult } from "../../etcd/wire/transaction.ts";
import { type Etcd, reasonOf } from "./etcd.ts";
import type { ClusterKeys } from "./keys.ts";
import { encodeMeta, encodeRecord, RecordError } from "./records.ts";
import { SameEtcd } from "./same_etcd.ts";
import { HEARD_SECONDS, type HostIdentity, nextStep } from "./session_step.ts";
import { type Readiness, SessionWaiters } from "./session_waiters.ts";
import { type Epoch, read } from "./transactions.ts";

/** Time limit of one question, in ms. */
const ASK_MS = 4000;
/** How often a host shows that it is there, and looks whether it is still a member, in ms. */
const PROOF_MS = 3000;
/** Pause before a failed try to join is repeated, in ms. */
const RETRY_MS = 1000;
/** etcd is away when it has not answered for so long, in ms: then nobody is kept waiting. */
const AWAY_MS = 5000;

/** Where a host's membership is. */
export type SessionState =
  /** Not a member yet; `reason` is why, where there is more to say than that it is being done. */
  | { readonly kind: "joining"; readonly reason?: string }
  | { readonly kind: "live"; readonly epoch: Epoch }
  /** What became of a change is not known; every change that may still be on its way is being made void. */
  | { readonly kind: "unsure"; readonly reason: string }
  /** Somebody else has changed this host's session, or etcd is not what it was. Nothing new is locked. */
  | { readonly kind: "lost"; readonly reason: string };

/** What a session works with. */
export interface SessionParts {
  readonly etcd: Etcd;
  readonly loop: Pick<EventLoop, "after" | "defer">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly keys: ClusterKeys;
  readonly host: HostIdentity;
  readonly spaces: readonly string[];
  /** Another text each time. */
  readonly nonce: () => string;
  /** Id of the session that an earlier life of the daemon had in this boot; undefined: none is known. */
  readonly known: string | undefined;
  /** Told which session it is, before it is written to etcd. @returns why it could not be kept */
  readonly keep: (session: string) => string | undefined;
  /** Whether this host holds locks of the cluster. */
  readonly holds: () => boolean;
  /** Puts in order what etcd has of this session, once. `done` is called when others may go on. */
  readonly reconcile: (epoch: Epoch, done: (failure: string | undefined) => void) => void;
  readonly observer: SessionObserver;
}

/** Told of changes. */
export interface SessionObserver {
  clusterJoined(session: string, cluster: string): void;
  /** Told once for each reason. */
  clusterTroubled(reason: string): void;
  clusterLost(reason: string): void;
  clusterRecovered(): void;
}

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
  #reconciled = false;
  #working = false;
  #lease: string | undefined;
  readonly #etcd: SameEtcd;
  readonly #waiters: SessionWaiters;
  #troubled: string | undefined;
  #closed = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#id = parts.known ?? parts.nonce();
    this.#etcd = new SameEtcd(parts.clock);
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
    if (this.#state.kind === "live") this.#waiters.wake();
    else this.#settle();
  }

  /** Nothing more is done or told. */
  close(): void {
    this.#closed = true;
    this.#waiters.drop();
  }

  /** Waits until changes can be made: {@link SessionWaiters.add}. */
  whenLive(until: number, ready: (epoch: Epoch) => void, failed: (reason: string) => void): void {
    this.#waiters.add(until, ready, failed);
  }

  /**
   * Puts a transaction to etcd. The answer is looked at first: whether it is the etcd that it was.
   *
   * @param done gets an unknown outcome when the session is lost by this very answer
   */
  ask(transaction: Transaction, done: (answer: Answer) => void): void {
    const before = this.#etcd.revision;
    this.#parts.etcd.ask({ kind: "transaction", transaction }, ASK_MS, (answer) => {
      if (this.#closed) return;
      if (answer.kind !== "transaction") return done(answer);
      const wrong = this.#etcd.look(answer.result, before);
      if (wrong === undefined) return done(answer);
      this.#lose(wrong);
      done({ kind: "unknown", reason: wrong });
    });
  }

  /**
   * What became of a change of this session's is not known: nothing goes on before it cannot come any more.
   */
  doubt(reason: string): void {
    if (this.#state.kind !== "live") return;
    this.#state = { kind: "unsure", reason };
    this.#settle();
  }

  /**
   * A change was not made, perhaps because the epoch has moved.
   *
   * @returns whether it has: then the change may be tried again as soon as the session is live
   */
  moved(epoch: Epoch, results: TransactionResult["results"]): boolean {
    const [session, meta] = results.map(({ found }) => found[0]?.changedAt ?? 0);
    if (session === epoch.session && meta === epoch.meta) return false;
    const state = this.#state;
    if (state.kind === "live" && state.epoch === epoch) this.doubt("the session or the cluster was changed");
    return true;
  }

  /** Makes every change void that is on its way, and begins anew. The first time it joins. */
  #settle(): void {
    const { keys, host, spaces, known, holds, etcd } = this.#parts;
    if (this.#working || this.#closed) return;
    if (this.#state.kind === "lost" || this.#state.kind === "live") return;
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
          keeps: known !== undefined && holds(),
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
            return this.#found(now, again);
          case "bump":
            return this.#bump(step.meta, session?.changedAt ?? 0, now, again);
        }
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        return again(error.message);
      }
    });
  }

  /** Nobody has ever joined: this host is the first one. */
  #found(now: () => void, again: (reason: string) => void): void {
    const { keys, spaces } = this.#parts;
    this.ask({
      compare: [{ kind: "changed-at", key: keys.meta, revision: 0 }],
      success: [{ op: "put", key: keys.meta, value: encodeMeta({ spaces }) }],
      failure: [],
    }, (answer) => answer.kind === "transaction" ? now() : again(reasonOf(answer)));
  }

  #bump(meta: number, before: number, now: () => void, again: (reason: string) => void): void {
    const { keys, host, nonce, keep, etcd } = this.#parts;
    const unkept = keep(this.#id);
    if (unkept !== undefined) return again(unkept);
    etcd.ask({ kind: "grant-lease", seconds: HEARD_SECONDS }, ASK_MS, (granted) => {
      if (this.#closed) return;
      if (granted.kind !== "lease") return again(reasonOf(granted));
      const mark = nonce();
      this.#tried.add(mark);
      const sessionKey = keys.session(this.#id);
      const record = { host: host.id, name: host.name, boot: host.boot, nonce: mark };
      const shown = { session: this.#id, boot: host.boot, name: host.name };
      this.ask({
        compare: [
          { kind: "changed-at", key: sessionKey, revision: before },
          { kind: "changed-at", key: keys.meta, revision: meta },
        ],
        success: [
          { op: "put", key: sessionKey, value: encodeRecord(record) },
          { op: "put", key: keys.host(host.id), value: encodeRecord(shown), lease: granted.lease },
        ],
        failure: [],
      }, (answer) => {
        // The nonce stays among those that were tried: it may still come, or have come.
        if (answer.kind === "unknown") return again(answer.reason);
        if (answer.kind !== "transaction") {
          this.#tried.delete(mark);
          return again(reasonOf(answer));
        }
        if (!answer.result.succeeded) {
          this.#tried.delete(mark);
          return now();
        }
        this.#member = true;
        this.#tried = new Set([mark]);
        this.#lease = granted.lease;
        this.#entered(
          { sessionKey, session: answer.result.revision, metaKey: keys.meta, meta },
          again,
        );
      });
    });
  }

  #entered(epoch: Epoch, again: (reason: string) => void): void {
    const live = () => {
      this.#working = false;
      this.#state = { kind: "live", epoch };
      if (this.#troubled !== undefined) this.#parts.observer.clusterRecovered();
      this.#troubled = undefined;
      this.#waiters.wake();
    };
    if (this.#reconciled) return live();
    this.#parts.reconcile(epoch, (failure) => {
      if (this.#state.kind === "lost" || this.#closed) return;
      if (failure !== undefined) return again(failure);
      this.#reconciled = true;
      this.#parts.observer.clusterJoined(this.#id, this.#etcd.cluster);
      live();
    });
  }

  /** Shows that this host is there, and looks whether it is still a member. */
  #prove(): void {
    if (this.#closed) return;
    this.#parts.loop.after(PROOF_MS, () => this.#prove());
    const state = this.#state;
    if (state.kind !== "live") return;
    const { epoch } = state;
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
      if (answer.kind === "transaction") this.moved(epoch, answer.result.results);
    });
  }

  #trouble(reason: string): void {
    if (this.#state.kind === "joining") this.#state = { kind: "joining", reason };
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
    if (state.kind === "live" && unreachable === undefined) return { kind: "ready", epoch: state.epoch };
    return { kind: "wait", hopeless: this.silence > AWAY_MS, reason: this.#why() };
  }

  #why(): string {
    const state = this.#state;
    const told = this.#troubled ?? (state.kind === "unsure" ? state.reason : undefined);
    const { unreachable } = this.#parts.etcd;
    return unreachable ?? told ?? "etcd has not answered";
  }
}
