import type { EventLoop } from "../event/event_loop.ts";
import type { EventSys } from "../../os/sys.ts";
import type { NotifyQueue } from "./notify_queue.ts";

/** How long changes are collected before the service manager is told, in ms. */
const QUIET_MS = 2000;

/** Tells the service manager how the daemon is (sd_notify(3)). Silent without one. */
export class ServiceStatus {
  readonly #notify: Pick<NotifyQueue, "tell"> | undefined;
  readonly #sys: Pick<EventSys, "monotonic">;
  readonly #loop: Pick<EventLoop, "after">;
  readonly #text: () => string;
  #told = "";
  #scheduled = false;

  /** @param text the STATUS= line */
  constructor(
    sys: Pick<EventSys, "monotonic">,
    loop: Pick<EventLoop, "after">,
    notify: Pick<NotifyQueue, "tell"> | undefined,
    text: () => string,
  ) {
    this.#sys = sys;
    this.#loop = loop;
    this.#notify = notify;
    this.#text = text;
  }

  /** Serving, for the first time or again. */
  ready(pid: number): void {
    this.#told = this.#text();
    this.#notify?.tell(["READY=1", `MAINPID=${pid}`, `STATUS=${this.#told}`]);
  }

  /** Reading the configuration again, or about to re-exec; {@link ready} follows. */
  reloading(): void {
    this.#notify?.tell(["RELOADING=1", `MONOTONIC_USEC=${Math.floor(this.#sys.monotonic() * 1000)}`]);
  }

  stopping(): void {
    this.#notify?.tell(["STOPPING=1", "STATUS=Stopping"]);
  }

  /**
   * What the status tells may have changed: told after a while, so that a busy daemon does not keep the
   * manager busy.
   */
  changed(): void {
    if (this.#notify === undefined || this.#scheduled) return;
    this.#scheduled = true;
    this.#loop.after(QUIET_MS, () => {
      this.#scheduled = false;
      const text = this.#text();
      if (text === this.#told) return;
      this.#told = text;
      this.#notify?.tell([`STATUS=${text}`]);
    });
  }
}
