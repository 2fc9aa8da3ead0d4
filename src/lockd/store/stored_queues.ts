import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { KeptObject } from "../../chassis/journal/descriptor_keeper.ts";
import { type AdoptedQueue, type DescriptorQueue, QUEUE_SIZE, type QueueParts } from "./descriptor_queue.ts";
import { DescriptorQueues } from "./descriptor_queues.ts";
import { queueName } from "./queue_names.ts";
import type { StoreMessage } from "./store_outbox.ts";

/** For the question whether there is room for one more. */
const LONGEST_QUEUE_NAME = queueName({ life: 999_999_999_999_999, number: 999_999 });
/**
 * So many ms after a queued descriptor was dropped, its queue is given up and the others move on. Long enough
 * to do it once for many, short enough that a file system can be unmounted as soon as a person asks.
 */
const TIDY_MS = 5;

/** What queues in a store work with. */
export interface StoredQueuesParts extends QueueParts {
  readonly loop: Pick<EventLoop, "after">;
  /** A number that no earlier user of the same store had; the later, the greater. */
  readonly life: number;
  /** Whether the store has room for a name with so many descriptors. */
  readonly hasRoom: (name: string, descriptors: number) => boolean;
  /** The message that has something stored; it counts as stored from then on. */
  readonly keep: (name: string, fds: readonly number[]) => StoreMessage;
  /** A name counts as stored no more. */
  readonly forget: (name: string) => void;
  /** Sends messages that nobody has asked for, in order. */
  readonly submit: (messages: readonly StoreMessage[]) => void;
}

/** What {@link StoredQueues.put} did. */
export interface PutInQueues {
  /** Names of what lies in a queue now. */
  readonly names: readonly string[];
  /** What has the new queues stored. */
  readonly messages: readonly StoreMessage[];
}

/** The queues of a store: filled with what may lie there, and tidied up when some of it is dropped. */
export class StoredQueues {
  readonly #parts: StoredQueuesParts;
  readonly #queues: DescriptorQueues;
  /** Queues that could not be stored. */
  readonly #lost = new Set<string>();
  #tidying = false;

  constructor(parts: StoredQueuesParts) {
    this.#parts = parts;
    this.#queues = new DescriptorQueues(parts, parts.life);
  }

  /** How many descriptors are in them. */
  get size(): number {
    return this.#queues.size;
  }

  /** Names of the descriptors. */
  get names(): Iterable<string> {
    return this.#queues.names;
  }

  /** What the next image of this process needs to go on with them. */
  get handover(): AdoptedQueue[] {
    return this.#queues.handover;
  }

  has(name: string): boolean {
    return this.#queues.has(name);
  }

  /**
   * Goes on with a queue of an earlier life: what is in it need not be stored again. To be called before
   * anything is put into queues, and {@link adopted} when everything is.
   */
  adopt(queue: AdoptedQueue): void {
    this.#queues.adopt(queue);
  }

  /** What was in adopted queues and was not put there since is to go. */
  adopted(): void {
    if (this.#queues.forgetUnknown()) this.#tidyLater();
  }

  /** Puts in what may lie in a queue, as many as one message to a queue takes at once. */
  put(wanted: readonly KeptObject[]): PutInQueues {
    const queued = wanted.filter(({ name, fd, queued }) =>
      queued === true && !this.has(name) && !this.#queues.know(name, fd)
    );
    const names: string[] = [];
    const messages: StoreMessage[] = [];
    for (let at = 0; at < queued.length; at += QUEUE_SIZE) {
      const entries = new Map(queued.slice(at, at + QUEUE_SIZE).map(({ name, fd }) => [name, fd]));
      const put = this.#queues.put(entries, this.#mayOpen);
      // By themselves then, as far as there is room.
      if (put.kind === "failed") continue;
      names.push(...entries.keys());
      if (put.opened !== undefined) messages.push(this.#keep(put.opened));
    }
    return { names, messages };
  }

  /** A descriptor need not be kept any more. @returns whether it was in a queue */
  drop(name: string): boolean {
    const known = this.#queues.drop(name);
    if (known) this.#tidyLater();
    return known;
  }

  /** A queue could not be stored. @returns the names of what was in it, which is in none now */
  lose(queue: string): string[] {
    this.#lost.add(queue);
    return this.#queues.lose(queue);
  }

  /** Whether a queue could not be stored. */
  isLost(queue: string): boolean {
    return this.#lost.has(queue);
  }

  /** Forgets everything. @returns the queues, which the caller closes */
  clear(): DescriptorQueue[] {
    return this.#queues.clear();
  }

  readonly #mayOpen = (): boolean => this.#parts.hasRoom(LONGEST_QUEUE_NAME, 2);

  #keep({ name, ends }: DescriptorQueue): StoreMessage {
    return this.#parts.keep(name, ends);
  }

  #tidyLater(): void {
    if (this.#tidying) return;
    this.#tidying = true;
    this.#parts.loop.after(TIDY_MS, () => {
      this.#tidying = false;
      const { opened, emptied, more } = this.#queues.tidy(this.#mayOpen);
      const moved = opened.map(({ name }) => name);
      // Sent in order: what moved is stored anew before it goes where it was.
      const messages = [
        ...opened.map((queue) => this.#keep(queue)),
        ...emptied.map((queue): StoreMessage => {
          this.#parts.forget(queue.name);
          return { kind: "remove", name: queue.name, queue, moved };
        }),
      ];
      if (messages.length > 0) this.#parts.submit(messages);
      if (more) this.#tidyLater();
    });
  }
}
