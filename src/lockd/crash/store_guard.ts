import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { counted } from "../../chassis/log/counted.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { LearntStore } from "../daemon/systemctl.ts";
import type { DescriptorStore } from "../store/descriptor_store.ts";
import { ASSUMED_LIMIT } from "./store_limit.ts";

/** Before it is tried again to have everything kept, in ms; the last one for ever. */
const PAUSES_MS = [1000, 5000, 15_000, 60_000] as const;

/** What a guard works with. */
export interface StoreGuardParts {
  readonly store: Pick<
    DescriptorStore,
    "kept" | "status" | "probe" | "resume" | "relimit" | "settled" | "distrust" | "least" | "noteLeast"
  >;
  readonly loop: Pick<EventLoop, "after">;
  readonly log: Log;
  /** Asks systemd; never calls `done` before it returns. Undefined where the manager is another one. */
  readonly learn: ((done: (store: LearntStore) => void) => void) | undefined;
  /** How often something was dropped in earlier images of this process. */
  readonly drops: number;
  /** Has everything stored anew. */
  readonly fill: () => void;
  /** What would be lost, for people: `3 locks of the guests 'a', 'b'`. */
  readonly atStake: () => string;
}

/** How it stands with the copies of the daemon's descriptors. */
type Phase =
  | { readonly kind: "kept" }
  /** They were dropped, or were never made; how that can be changed is being found out. */
  | { readonly kind: "trying" }
  /** The same, and nothing is done until some time has passed. */
  | { readonly kind: "waiting" }
  /** Another program is about to take over, and wants no copies. */
  | { readonly kind: "resting" };

/**
 * Sees to it that systemd keeps what the daemon must not lose: when it has dropped that, everything is stored
 * anew, and tried again for as long as systemd does not take it. Meanwhile the journal's file has to do.
 */
export class StoreGuard {
  readonly #parts: StoreGuardParts;
  #phase: Phase = { kind: "kept" };
  #failures = 0;
  #drops: number;
  #reason: string | undefined;
  /** The limit that systemd was asked for; undefined when it was not, or has not answered. */
  #learnt: number | undefined;
  /** Whether what systemd has is being compared, and whether that is to be done once more. */
  #looking: "no" | "once" | "again" = "no";

  constructor(parts: StoreGuardParts) {
    this.#parts = parts;
    this.#drops = parts.drops;
  }

  /** How often something was dropped. */
  get drops(): number {
    return this.#drops;
  }

  /** Why nothing is kept; undefined when everything is that there is room for. */
  get trouble(): string | undefined {
    return this.#parts.store.kept
      ? undefined
      : this.#reason ?? "it is being found out whether systemd keeps anything";
  }

  /** The limit that was found out last; undefined when the environment's holds. */
  get limit(): number | undefined {
    return this.#learnt;
  }

  /** Whether something is being done that will be over in a moment. */
  get busy(): boolean {
    return this.#phase.kind === "trying";
  }

  /** The service manager has dropped something. */
  dropped(): void {
    const { log, atStake } = this.#parts;
    if (this.#phase.kind === "kept") this.#drops++;
    const first = this.#reason === undefined;
    this.#reason ??= "systemd has dropped it";
    if (first) {
      log.error(
        `systemd has dropped what it kept for the daemon, and a crash or a restart would free ${atStake()}. ` +
          "Having it stored anew: the next lines say whether systemd takes it",
      );
    }
    // What was stored anew was refused at once: not again at once.
    if (this.#phase.kind === "trying") this.#refused("it drops what it is sent");
    else if (this.#phase.kind === "kept") this.#try();
  }

  /** Nothing is kept from the beginning. */
  begin(): void {
    this.#try();
  }

  /**
   * Compares what systemd has with what it was sent, while everybody is served; and tries at once what is
   * tried from time to time.
   */
  look(): void {
    const { store, learn } = this.#parts;
    if (this.#phase.kind === "waiting") return this.#try();
    if (this.#phase.kind !== "kept" || learn === undefined) return;
    if (this.#looking !== "no") {
      this.#looking = "again";
      return;
    }
    this.#looking = "once";
    store.noteLeast();
    store.settled(() => learn((learnt) => this.#compare(learnt)));
  }

  /**
   * systemd does what it is told in order. So at whatever moment since it counted, it had no fewer than there
   * ever were meanwhile: clients that come and go are no reason to believe that it has dropped something.
   */
  #compare(learnt: LearntStore): void {
    const again = this.#looking === "again";
    this.#looking = "no";
    if (this.#phase.kind !== "kept" || learnt.kind !== "known") return;
    const { store } = this.#parts;
    if (learnt.kept < store.least) return store.distrust();
    this.#learnt = learnt.limit;
    if (learnt.limit !== store.status.limit) store.relimit(learnt.limit);
    if (again) this.look();
  }

  /** Another program takes over, and wants no copies. */
  rest(): void {
    this.#phase = { kind: "resting" };
  }

  /** It did not, after all. */
  resume(): void {
    if (this.#phase.kind !== "resting") return;
    this.#phase = { kind: "kept" };
    if (!this.#parts.store.kept) this.#try();
  }

  #try(): void {
    this.#phase = { kind: "trying" };
    const { learn } = this.#parts;
    if (learn === undefined) return this.#probe(undefined);
    learn((learnt) => {
      if (this.#phase.kind !== "trying") return;
      if (learnt.kind === "unknown") return this.#probe(learnt.reason);
      this.#learnt = learnt.limit;
      if (learnt.limit > 0) this.#probe(undefined);
      else this.#refused("FileDescriptorStoreMax= of the service is 0");
    });
  }

  /** @param doubt why the limit is not known */
  #probe(doubt: string | undefined): void {
    const { store } = this.#parts;
    store.probe((taken) => {
      if (this.#phase.kind !== "trying") return;
      if (!taken) return this.#refused(doubt ?? "it does not take what it is sent");
      // One that cannot be asked is believed to take as many as before, and found out if it does not.
      store.resume(this.#learnt ?? (store.status.limit || ASSUMED_LIMIT));
      this.#parts.fill();
      store.settled(() => {
        if (this.#phase.kind === "trying") this.#kept();
      });
    });
  }

  #kept(): void {
    const { store, log } = this.#parts;
    this.#phase = { kind: "kept" };
    this.#failures = 0;
    this.#reason = undefined;
    const { stored, refused } = store.status;
    const rest = refused === 0 ? "" : `, and has no room for ${refused} more`;
    log.warn(`systemd keeps ${counted(stored, "descriptor")} of the daemon again${rest}`);
  }

  #refused(reason: string): void {
    const { loop, log, atStake } = this.#parts;
    const pause = PAUSES_MS[Math.min(this.#failures++, PAUSES_MS.length - 1)] as number;
    if (this.#reason !== reason) {
      this.#reason = reason;
      log.error(
        `systemd keeps nothing for the daemon: ${reason}. Do not restart it: that would free ${atStake()} until the ` +
          "next daemon takes them again by the journal's file. It is tried again every minute; 'virtlockd doctor' says " +
          "what to do",
      );
    }
    this.#phase = { kind: "waiting" };
    loop.after(pause, () => {
      if (this.#phase.kind === "waiting") this.#try();
    });
  }
}
