import { SOCK_STREAM } from "../../os/constants.ts";
import { EAGAIN, ENOBUFS, ENOMEM } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { SocketSys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";

/**
 * Most descriptors in one queue: as many as one message may carry (SCM_MAX_FD), so that what is left of a
 * queue moves on in one.
 */
export const QUEUE_SIZE = 253;
/** Between the names of one message. No name has it: the service manager's rules forbid it too. */
const SEPARATOR = ":";

/** What a queue needs of the kernel. */
export interface QueueParts {
  readonly sys: Pick<SocketSys, "socketPair" | "sendMessage">;
  /** Owns both ends as long as they are open here. */
  readonly ledger: DescriptorLedger;
}

/** A queue of an earlier life. */
export interface AdoptedQueue {
  /** Under which the service manager has it. */
  readonly name: string;
  /** How many descriptors are in it. */
  readonly taken: number;
  /** Names of those that counted. */
  readonly names: readonly string[];
}

/** Why a queue does not take a descriptor. */
export type NotPut =
  /** Nothing is wrong: the next queue will. */
  | { readonly kind: "full" }
  | { readonly kind: "failed"; readonly errno: number };

/**
 * A pair of connected Unix sockets with descriptors on their way from one to the other (SCM_RIGHTS). Nobody
 * receives them: as long as somebody has both sockets, the kernel keeps a copy of every descriptor in
 * between. So the service manager, which is given the two, keeps hundreds of descriptors under one name.
 *
 * Nothing can be taken out of the middle. What is dropped stays until the whole queue is given up, and what
 * is not moves to another one.
 */
export class DescriptorQueue {
  /** Under which the service manager has it. */
  readonly name: string;
  /**
   * The end to send into and the end that would receive; this object's until {@link close}. None of a queue
   * of an earlier life, which only the service manager has.
   */
  readonly ends: readonly number[];
  readonly #parts: QueueParts;
  readonly #live = new Map<string, number>();
  #taken: number;
  #closed = false;

  private constructor(parts: QueueParts, name: string, ends: readonly number[], taken: number) {
    this.#parts = parts;
    this.name = name;
    this.ends = ends;
    this.#taken = taken;
    for (const end of ends) parts.ledger.own(end, "lock-queue");
  }

  /** @returns the queue, or a negative errno */
  static open(parts: QueueParts, name: string): DescriptorQueue | number {
    const ends = parts.sys.socketPair(SOCK_STREAM);
    return typeof ends === "number" ? ends : new DescriptorQueue(parts, name, ends, 0);
  }

  /**
   * A queue that an earlier life has begun. It takes nothing more.
   *
   * @param taken how many descriptors are in it, those that were dropped too
   */
  static adopt(parts: QueueParts, { name, taken }: AdoptedQueue): DescriptorQueue {
    return new DescriptorQueue(parts, name, [], taken);
  }

  /** What counts in it: names and descriptors, which stay their owners'. */
  get live(): ReadonlyMap<string, number> {
    return this.#live;
  }

  /** Whether it has copies of what was dropped. */
  get untidy(): boolean {
    return this.#live.size < this.#taken;
  }

  /**
   * Puts descriptors behind those that are in it, all or none.
   *
   * @param entries at most {@link QUEUE_SIZE} of them
   */
  put(entries: ReadonlyMap<string, number>): NotPut | undefined {
    const [input] = this.ends;
    if (input === undefined || this.#taken + entries.size > QUEUE_SIZE) return { kind: "full" };
    const text = encodeText([...entries.keys()].join(SEPARATOR));
    const result = this.#parts.sys.sendMessage(input, text, [...entries.values()]);
    if (result === -EAGAIN || result === -ENOBUFS || result === -ENOMEM) return { kind: "full" };
    if (result < 0) return { kind: "failed", errno: -result };
    this.#taken += entries.size;
    for (const [name, fd] of entries) this.#live.set(name, fd);
    return undefined;
  }

  /** Says that a descriptor is in it: the kernel has it there from an earlier life. */
  know(name: string, fd: number): void {
    this.#live.set(name, fd);
  }

  /** What this process needs to go on with it in its next image. */
  get handover(): AdoptedQueue {
    return { name: this.name, taken: this.#taken, names: [...this.#live.keys()] };
  }

  /** One of its descriptors need not be kept any more. */
  drop(name: string): void {
    this.#live.delete(name);
  }

  /** Closes this process's ends, once. Where the service manager has its own, nothing is lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const end of this.ends) this.#parts.ledger.close(end);
  }
}

/** The names in a message of a queue. */
export function namesIn(text: string): string[] {
  return text.split(SEPARATOR);
}
