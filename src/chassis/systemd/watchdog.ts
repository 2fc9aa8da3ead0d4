import type { EventLoop } from "../event/event_loop.ts";
import type { Log } from "../log/log.ts";
import type { NotifyQueue } from "./notify_queue.ts";

/** After so long without a sign of life the service manager kills the daemon and starts it again, in ms. */
const WATCHDOG_MS = 20_000;
/** Between two signs of life, in ms: three may be late. */
const SIGN_MS = 5000;

/**
 * systemd (254 and later) hears the process whatever becomes of its unit, once it has asked for that: of a
 * unit that is masked it would take neither a sign of life nor that the watchdog is off, and kill the daemon.
 * What the unit has already is not remembered, so something else is asked for first. Systemd 252 takes the
 * setting from the package's drop-in, also when the unit is masked.
 */
const HEARD_ALWAYS = ["NOTIFYACCESS=exec", "NOTIFYACCESS=main"];

type Phase =
  /** Not looked at yet: an earlier image may have armed it. */
  | "unknown"
  | "armed"
  | "disarmed"
  /** Stays disarmed whatever is wanted: another program is about to take over. */
  | "held";

/**
 * The service manager's watchdog, armed by the daemon itself (sd_notify(3), WATCHDOG_USEC=) as long as being
 * killed would cost nothing. The unit must not arm it: another program that is executed in the daemon's place
 * would never give a sign of life and be killed.
 */
export class Watchdog {
  readonly #loop: Pick<EventLoop, "after">;
  readonly #manager: Pick<NotifyQueue, "tell"> | undefined;
  readonly #wanted: () => boolean;
  readonly #cost: string;
  readonly #log: Log;
  #phase: Phase = "unknown";

  /**
   * @param manager undefined where there is none: then nothing is ever armed
   * @param wanted whether the daemon would lose nothing if it were killed now
   * @param cost what it would lose otherwise, as a word for people
   */
  constructor(
    loop: Pick<EventLoop, "after">,
    manager: Pick<NotifyQueue, "tell"> | undefined,
    wanted: () => boolean,
    cost: string,
    log: Log,
  ) {
    this.#loop = loop;
    this.#manager = manager;
    this.#wanted = wanted;
    this.#cost = cost;
    this.#log = log;
  }

  /** Whether the service manager may be waiting for signs of life. */
  get armed(): boolean {
    return this.#phase === "armed";
  }

  /** Begins to give signs of life, from the event loop: one that hangs gives none. */
  start(): void {
    if (this.#manager === undefined) return;
    this.#look();
    this.#again();
  }

  /** Disarms it, until {@link release}. */
  hold(): void {
    if (this.#manager === undefined) return;
    if (this.#phase !== "disarmed") this.#disarm();
    this.#phase = "held";
  }

  /** Nobody has taken over: as before {@link hold}. */
  release(): void {
    if (this.#phase !== "held") return;
    this.#phase = "disarmed";
    this.#look();
  }

  #again(): void {
    this.#loop.after(SIGN_MS, () => {
      this.#look();
      this.#again();
    });
  }

  #look(): void {
    if (this.#phase === "held") return;
    if (!this.#wanted()) {
      if (this.#phase !== "disarmed") this.#disarm();
      this.#phase = "disarmed";
    } else if (this.#phase === "armed") {
      this.#manager?.tell(["WATCHDOG=1"]);
    } else {
      for (const access of HEARD_ALWAYS) this.#manager?.tell([access]);
      this.#manager?.tell([`WATCHDOG_USEC=${WATCHDOG_MS * 1000}`, "WATCHDOG=1"]);
      this.#phase = "armed";
      this.#log.info(`The service manager starts the daemon again if it hangs for ${WATCHDOG_MS / 1000} s`);
    }
  }

  #disarm(): void {
    this.#manager?.tell(["WATCHDOG_USEC=0"]);
    if (this.#phase === "armed") {
      this.#log.info(`The service manager's watchdog is off: an end would cost ${this.#cost}`);
    }
  }
}
