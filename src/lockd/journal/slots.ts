import { invariant } from "../../base/invariant.ts";
import { takeOut } from "../../base/lists.ts";

/** What a stored descriptor is. */
export const SLOT_KINDS = ["lock", "lock client", "admin client", "dying holder"] as const;
/** See {@link SLOT_KINDS}. */
export type SlotKind = typeof SLOT_KINDS[number];

/** Kinds of clients by ordinal of their server. */
const CLIENT_KINDS = ["lock client", "admin client"] as const satisfies readonly SlotKind[];

/** Kind of the slot of a client of the server with this ordinal. */
export function clientKind(ordinal: number): SlotKind {
  const kind = CLIENT_KINDS[ordinal];
  invariant(kind !== undefined, `Server ${ordinal} has no kind of slot for its clients`);
  return kind;
}

/** Ordinal of the server whose clients have slots of this kind; undefined for what is no client. */
export function serverOf(kind: SlotKind): number | undefined {
  const ordinal = CLIENT_KINDS.findIndex((client) => client === kind);
  return ordinal < 0 ? undefined : ordinal;
}

/** A place in the store. */
export interface Slot {
  readonly kind: SlotKind;
  /** From 0; used again when it is free. */
  readonly index: number;
}

/**
 * Numbers for stored descriptors, the smallest possible: the service manager puts all names of the store into
 * one environment variable, and the kernel takes no longer one than 128 KiB.
 */
export class Slots {
  readonly #used = new Map<number, number>();
  readonly #free: number[] = [];
  #next = 0;

  /** Slot of an id; undefined when it has none. */
  get(id: number): number | undefined {
    return this.#used.get(id);
  }

  /** Gives an id a slot, if it has none. */
  take(id: number): number {
    const known = this.#used.get(id);
    if (known !== undefined) return known;
    const index = this.#free.pop() ?? this.#next++;
    this.#used.set(id, index);
    return index;
  }

  /** Says that an id had a slot in an earlier life. To be called before any is taken. */
  restore(id: number, index: number): void {
    this.#used.set(id, index);
    for (; this.#next < index; this.#next++) this.#free.push(this.#next);
    if (this.#next === index) this.#next++;
    else takeOut(this.#free, index);
  }

  /** Forgets an id. Its slot stays taken until it is {@link free}d: the store may still have it. */
  forget(id: number): number | undefined {
    const index = this.#used.get(id);
    this.#used.delete(id);
    return index;
  }

  /** A slot may be used again. */
  free(index: number): void {
    invariant(index >= 0 && index < this.#next, "A slot is freed that was never taken");
    this.#free.push(index);
  }
}
