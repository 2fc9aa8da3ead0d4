import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import type { Sys } from "../../os/sys.ts";
import type { WorkEntry } from "./work_entry.ts";

/** After so long without work a helper is let go, in ms. */
const IDLE_MS = 60_000;
/** Milliseconds in which a helper has to undo what was cancelled; one that storage holds up is killed. */
const UNDO_MS = 30_000;
/** So many times is a helper looked at, of which nothing is heard, until it is given up. */
const LOOKS = 8;

/** In what way an operation took too long, and how many milliseconds it had. */
export interface Lateness {
  readonly kind: "not done" | "silent" | "not undone";
  readonly limit: number;
}

/** Who is patient. */
export interface PatientUser {
  /** The operation takes too long. */
  late(lateness: Lateness): void;
  /** The helper had nothing to do for long. */
  idle(): void;
  /** What the kernel counts of the helper; undefined when it does not tell. */
  activity(): string | undefined;
}

/** How long one helper is waited for. */
export class Patience {
  readonly #sys: Pick<Sys, "monotonic">;
  readonly #loop: Pick<EventLoop, "after">;
  readonly #user: PatientUser;
  /** Until the operation has to be done; without one, until the helper is let go. */
  #limit: Timer | undefined;
  /** Until it has to be heard of, or to have undone what was cancelled. */
  #sign: Timer | undefined;
  #silence: number | undefined;
  #heardAt = 0;
  #undoing = false;
  /** What it had moved when it was looked at last. */
  #activity: string | undefined;

  constructor(
    { sys, loop }: { readonly sys: Pick<Sys, "monotonic">; readonly loop: Pick<EventLoop, "after"> },
    user: PatientUser,
  ) {
    this.#sys = sys;
    this.#loop = loop;
    this.#user = user;
  }

  /** Milliseconds since the operation began, or since there was a sign of it last. */
  get silentFor(): number {
    return this.#sys.monotonic() - this.#heardAt;
  }

  /** From now on an operation has its time; one that is cancelled already has to be undone all the same. */
  begin({ limit, silence }: Pick<WorkEntry<never>, "limit" | "silence">): void {
    this.#limit?.cancel();
    this.#silence = silence;
    this.#limit = limit === undefined
      ? undefined
      : this.#loop.after(limit, () => this.#user.late({ kind: "not done", limit }));
    this.heard();
  }

  /** It has given a sign of life: the next one is waited for. */
  heard(): void {
    this.#heardAt = this.#sys.monotonic();
    if (this.#silence === undefined || this.#undoing) return;
    this.#activity = undefined;
    this.#lookLater(this.#silence);
  }

  /** Nothing is heard of it: what the kernel counts of it is looked at now and then. */
  #lookLater(silence: number): void {
    this.#sign?.cancel();
    const rest = Math.max(0, Math.min(silence - this.silentFor, silence / LOOKS));
    this.#sign = this.#loop.after(rest, () => {
      const activity = this.#user.activity();
      if (this.#activity !== undefined && activity !== this.#activity) this.#heardAt = this.#sys.monotonic();
      this.#activity = activity;
      if (this.silentFor >= silence) return this.#user.late({ kind: "silent", limit: silence });
      this.#lookLater(silence);
    });
  }

  /** The operation was cancelled, and has to be undone. */
  cancelled(): void {
    this.#undoing = true;
    this.#sign?.cancel();
    this.#sign = this.#loop.after(UNDO_MS, () => this.#user.late({ kind: "not undone", limit: UNDO_MS }));
  }

  /** The helper has nothing to do. */
  rest(): void {
    this.end();
    this.#limit = this.#loop.after(IDLE_MS, () => this.#user.idle());
  }

  /** Nothing is waited for. */
  end(): void {
    this.#limit?.cancel();
    this.#sign?.cancel();
    this.#undoing = false;
  }
}

/** A lateness, as it follows the name of an operation and its place. */
export function latenessText({ kind, limit }: Lateness): string {
  const within = `within ${limit / 1000} s`;
  switch (kind) {
    case "not undone":
      return `was cancelled, and not undone ${within}`;
    case "silent":
      return `gave no sign of life ${within}`;
    case "not done":
      return `was not done ${within}`;
  }
}
