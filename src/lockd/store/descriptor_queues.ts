import { type AdoptedQueue, DescriptorQueue, type NotPut, type QueueParts } from "./descriptor_queue.ts";
import { queueName } from "./queue_names.ts";

/** At most so many queues are looked through at once: moving what is left of one takes some 60 us. */
const TIDIED_AT_ONCE = 8;

/** What became of a descriptor. */
export type Put =
  /** `opened`: the queue it is in is new, and nobody keeps it yet. */
  | { readonly kind: "put"; readonly opened: DescriptorQueue | undefined }
  | { readonly kind: "failed"; readonly errno: number };

/** What {@link DescriptorQueues.tidy} did. */
export interface Tidied {
  /** New queues, which nobody keeps yet. */
  readonly opened: readonly DescriptorQueue[];
  /** Queues that are not needed any more, once the new ones are kept. The caller closes them. */
  readonly emptied: readonly DescriptorQueue[];
  /** Whether there is more to do. */
  readonly more: boolean;
}

/** Descriptors in queues, by name. */
export class DescriptorQueues {
  readonly #parts: QueueParts;
  readonly #life: number;
  readonly #queueOf = new Map<string, DescriptorQueue>();
  readonly #queues = new Set<DescriptorQueue>();
  /** In adopted queues, and not wanted so far. */
  readonly #unknown = new Map<string, DescriptorQueue>();
  readonly #untidy = new Set<DescriptorQueue>();
  #current: DescriptorQueue | undefined;
  #opened = 0;

  /** @param life a number that no earlier user of the same store had; the later, the greater */
  constructor(parts: QueueParts, life: number) {
    this.#parts = parts;
    this.#life = life;
  }

  /** How many descriptors there are. */
  get size(): number {
    return this.#queueOf.size;
  }

  /** Names of the descriptors. */
  get names(): Iterable<string> {
    return this.#queueOf.keys();
  }

  /** What the next image of this process needs to go on with them. */
  get handover(): AdoptedQueue[] {
    return [...this.#queues].map((queue) => queue.handover);
  }

  /**
   * Goes on with a queue of an earlier life. What in it is not said to be wanted (see {@link know}) until
   * {@link forgetUnknown} is dropped.
   */
  adopt(adopted: AdoptedQueue): void {
    const queue = DescriptorQueue.adopt(this.#parts, adopted);
    this.#queues.add(queue);
    for (const name of adopted.names) this.#unknown.set(name, queue);
  }

  /** A descriptor is wanted. @returns whether it lies in an adopted queue, so that nothing is to be done */
  know(name: string, fd: number): boolean {
    const queue = this.#unknown.get(name);
    if (queue === undefined) return false;
    this.#unknown.delete(name);
    queue.know(name, fd);
    this.#queueOf.set(name, queue);
    return true;
  }

  /** Everything that is wanted of what was adopted has been said. @returns whether there is to tidy */
  forgetUnknown(): boolean {
    this.#unknown.clear();
    for (const queue of this.#queues) if (queue.untidy) this.#untidy.add(queue);
    return this.#untidy.size > 0;
  }

  has(name: string): boolean {
    return this.#queueOf.has(name);
  }

  /**
   * Puts descriptors into the current queue, or a new one when that is too full; all or none.
   *
   * @param entries at most QUEUE_SIZE of them
   * @param mayOpen whether there is room for another queue where they are kept
   */
  put(entries: ReadonlyMap<string, number>, mayOpen: () => boolean): Put {
    const refused = this.#current === undefined ? FULL : this.#into(this.#current, entries);
    if (refused === undefined) return { kind: "put", opened: undefined };
    if (refused.kind === "failed") return refused;
    if (!mayOpen()) return { kind: "failed", errno: 0 };
    const queue = DescriptorQueue.open(this.#parts, queueName({ life: this.#life, number: this.#opened++ }));
    if (typeof queue === "number") return { kind: "failed", errno: -queue };
    const again = this.#into(queue, entries);
    if (again !== undefined) {
      queue.close();
      return { kind: "failed", errno: again.kind === "failed" ? again.errno : 0 };
    }
    this.#current = queue;
    this.#queues.add(queue);
    return { kind: "put", opened: queue };
  }

  /** A descriptor need not be kept any more. @returns whether it was here */
  drop(name: string): boolean {
    const queue = this.#queueOf.get(name);
    if (queue === undefined) return false;
    this.#queueOf.delete(name);
    queue.drop(name);
    this.#untidy.add(queue);
    return true;
  }

  /** Moves what is left of queues with dropped descriptors, so that these are closed at last. */
  tidy(mayOpen: () => boolean): Tidied {
    const opened: DescriptorQueue[] = [];
    const emptied: DescriptorQueue[] = [];
    for (const queue of [...this.#untidy].slice(0, TIDIED_AT_ONCE)) {
      if (queue === this.#current) this.#current = undefined;
      if (queue.live.size > 0) {
        const put = this.put(new Map(queue.live), mayOpen);
        // It stays as it is: what was dropped is kept longer than it need be, and nothing is lost.
        if (put.kind === "failed") break;
        if (put.opened !== undefined) opened.push(put.opened);
      }
      this.#untidy.delete(queue);
      this.#queues.delete(queue);
      emptied.push(queue);
    }
    return { opened, emptied, more: this.#untidy.size > 0 };
  }

  /** A queue could not be kept. @returns the names of what was in it, which is closed and forgotten */
  lose(name: string): string[] {
    const queue = [...this.#queues].find((each) => each.name === name);
    if (queue === undefined) return [];
    const names = [...queue.live.keys()];
    for (const each of names) this.#queueOf.delete(each);
    this.#forget(queue);
    queue.close();
    return names;
  }

  /** Forgets everything. @returns the queues, which the caller closes */
  clear(): DescriptorQueue[] {
    const queues = [...this.#queues];
    this.#queueOf.clear();
    this.#unknown.clear();
    for (const queue of queues) this.#forget(queue);
    return queues;
  }

  #forget(queue: DescriptorQueue): void {
    if (queue === this.#current) this.#current = undefined;
    this.#queues.delete(queue);
    this.#untidy.delete(queue);
  }

  #into(queue: DescriptorQueue, entries: ReadonlyMap<string, number>): NotPut | undefined {
    const refused = queue.put(entries);
    if (refused === undefined) { for (const name of entries.keys()) this.#queueOf.set(name, queue); }
    return refused;
  }
}

const FULL: NotPut = { kind: "full" };
