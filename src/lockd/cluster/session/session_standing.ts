import type { Etcd } from "../etcd/etcd.ts";
import type { Epoch } from "../keys/transactions.ts";
import type { Admitted } from "./admission.ts";
import { AWAY_MS } from "./cluster_times.ts";
import type { SessionObserver, SessionState } from "./session_parts.ts";
import type { GivenUp } from "./session_step.ts";
import type { Readiness } from "./session_waiters.ts";

/** What a standing is told of, and tells. */
export interface SessionStandingParts {
  readonly etcd: Pick<Etcd, "unreachable">;
  readonly observer: Pick<SessionObserver, "clusterTroubled" | "clusterRecovered" | "clusterLost">;
  /** Called when whoever waits has to look again. */
  readonly changed: () => void;
}

/** Where a host's membership is, and what keeps it from being a member. */
export class SessionStanding {
  readonly #parts: SessionStandingParts;
  #state: SessionState = { kind: "joining" };
  #troubled: string | undefined;

  constructor(parts: SessionStandingParts) {
    this.#parts = parts;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Undefined as long as nothing can be changed. */
  get epoch(): Epoch | undefined {
    const state = this.#state;
    return state.kind === "live" || state.kind === "closed" ? state.epoch : undefined;
  }

  /** Locks can be taken. */
  live(epoch: Epoch): void {
    this.#state = { kind: "live", epoch };
    if (this.#troubled !== undefined) this.#parts.observer.clusterRecovered();
    this.#troubled = undefined;
    this.#parts.changed();
  }

  /** Locks can only be given back. */
  closed(epoch: Epoch, { kind, reason }: Extract<Admitted, { kind: "settled" | "listed" }>): void {
    this.#state = { kind: "closed", epoch, entered: kind, reason };
    this.trouble(reason);
    this.#parts.changed();
  }

  /** What became of a change is not known. */
  unsure(reason: string): void {
    this.#state = { kind: "unsure", reason };
  }

  /** Something keeps this host from being a member. */
  trouble(reason: string): void {
    const { kind } = this.#state;
    // What keeps it so by now, not what it began with.
    if (kind === "joining" || kind === "unsure") this.#state = { kind, reason };
    if (this.#troubled === reason) return;
    this.#troubled = reason;
    this.#parts.observer.clusterTroubled(reason);
  }

  /** It is no member any more, for good. @param givenUp the word by which that is so */
  lose(reason: string, givenUp?: GivenUp): void {
    if (this.#state.kind === "lost") return;
    this.#state = { kind: "lost", reason, ...givenUp === undefined ? {} : { givenUp } };
    this.#parts.observer.clusterLost(reason);
    this.#parts.changed();
  }

  /**
   * What whoever waits is told.
   *
   * @param silence milliseconds since etcd has last answered
   * @param joining milliseconds that are left in which waiting for the first time is not hopeless
   */
  readiness(silence: number, joining: number): Readiness {
    const state = this.#state;
    const { unreachable } = this.#parts.etcd;
    if (state.kind === "lost") return { kind: "never", reason: state.reason };
    if (unreachable === undefined) {
      if (state.kind === "live") return { kind: "ready", epoch: state.epoch };
      if (state.kind === "closed") return { kind: "closed", epoch: state.epoch, reason: state.reason };
    }
    return { kind: "wait", hopeless: silence > AWAY_MS && joining === 0, reason: this.#why() };
  }

  #why(): string {
    const state = this.#state;
    const told = this.#troubled ?? (state.kind === "unsure" ? state.reason : undefined);
    const { unreachable } = this.#parts.etcd;
    return unreachable ?? told ?? "etcd has not answered";
  }
}
