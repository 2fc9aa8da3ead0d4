import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { descriptorPath } from "../../os/process_files.ts";
import { O_CLOEXEC, O_NONBLOCK, O_RDONLY } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";

/** A tripwire of an earlier life, or for the next image of this process. */
export interface HeldTripwire {
  readonly name: string;
  /** Read end of its pipe. */
  readonly fd: number;
}

/** Whether a name in the store is a tripwire's. It is longer than that of any slot. */
export function isTripwire(name: string): boolean {
  return /^tripwire-\d+$/.test(name);
}

/** The name of a tripwire, by its number. */
export function tripwireName(number: number): string {
  return `tripwire-${number}`;
}

/** What tripwires work with. */
export interface TripwireParts {
  readonly sys: Pick<EventSys, "pipe"> & Pick<FileSys, "open" | "close">;
  readonly loop: Pick<EventLoop, "add" | "remove">;
  readonly ledger: DescriptorLedger;
}

/**
 * Pipes whose other ends nobody has but the service manager, in its store. When it closes one, for whatever
 * reason, the kernel says so here at once: the manager itself tells nobody that it has dropped what it kept,
 * or did not take what it was sent.
 */
export class Tripwires {
  readonly #parts: TripwireParts;
  readonly #tripped: (name: string) => void;
  /** Read ends by name. */
  readonly #held = new Map<string, number>();

  /** @param tripped called once for each that the manager has closed; it is forgotten then */
  constructor(parts: TripwireParts, tripped: (name: string) => void) {
    this.#parts = parts;
    this.#tripped = tripped;
  }

  /** Those that are watched. */
  get held(): readonly HeldTripwire[] {
    return [...this.#held].map(([name, fd]) => ({ name, fd }));
  }

  /** Whether one of this name is watched. */
  has(name: string): boolean {
    return this.#held.has(name);
  }

  /**
   * Makes one.
   *
   * @param send gives the end to the manager; it is closed here afterwards
   * @returns what `send` returned, or the positive errno for which there is no pipe
   */
  make(name: string, send: (end: number) => "sent" | "full" | number): "sent" | "full" | number {
    const { sys } = this.#parts;
    const pipe = sys.pipe();
    if (typeof pipe === "number") return -pipe;
    const [readEnd, writeEnd] = pipe;
    const result = send(writeEnd);
    sys.close(writeEnd);
    if (result === "sent") this.adopt({ name, fd: readEnd });
    else sys.close(readEnd);
    return result;
  }

  /** Goes on with one that an earlier image has handed over. @param tripwire its descriptor is taken */
  adopt({ name, fd }: HeldTripwire): void {
    const { loop, ledger } = this.#parts;
    this.drop(name);
    ledger.own(fd, "tripwire");
    this.#held.set(name, fd);
    // Nothing is ever written: there is one event, the hang-up.
    loop.add(fd, 0, () => {
      this.drop(name);
      this.#tripped(name);
    });
  }

  /**
   * Goes on with one of an earlier process, which only the manager has.
   *
   * @param end what it has handed over; closed here
   * @returns whether it can be watched
   */
  reopen(name: string, end: number): boolean {
    const { sys } = this.#parts;
    const fd = sys.open(descriptorPath("self", end), O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
    sys.close(end);
    if (fd < 0) return false;
    this.adopt({ name, fd });
    return true;
  }

  /** Forgets one, if it is there. */
  drop(name: string): void {
    const { loop, ledger } = this.#parts;
    const fd = this.#held.get(name);
    if (fd === undefined) return;
    this.#held.delete(name);
    loop.remove(fd);
    ledger.close(fd);
  }
}
