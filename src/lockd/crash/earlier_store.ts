import type { Log } from "../../chassis/log/log.ts";
import { handedTripwires } from "../handover/kept_descriptors.ts";
import { JOURNAL_NAME, slotName } from "../journal/descriptor_names.ts";
import type { AdoptedQueue } from "../store/descriptor_queue.ts";
import { parseQueueName } from "../store/queue_names.ts";
import { type ReadQueues, readQueues } from "../journal/read_queues.ts";
import type { Recovered, ReturnedDescriptor, StoredObject } from "../journal/recovered.ts";
import { type HeldTripwire, isTripwire } from "../store/tripwires.ts";
import type { RestartState } from "../restart/state.ts";
import { type JournalHandover, readHandover } from "./journal_handover.ts";
import { LISTENER_NAMES } from "./journal_snapshot.ts";

/** What tells of the store of an earlier life. */
export interface EarlierStoreSources {
  readonly sys: Parameters<typeof readQueues>[0];
  readonly log: Log;
  /** What the service manager handed over. */
  readonly returned: readonly ReturnedDescriptor[];
  /** State of an earlier image of this very process. */
  readonly handed: RestartState | undefined;
}

/**
 * What an earlier life has left in the service manager's store. An earlier image of this process tells it;
 * else what the manager handed over is what it has.
 */
export class EarlierStore {
  /** What an earlier image says; of another life, nothing. */
  readonly told: JournalHandover;
  readonly #handed: RestartState | undefined;
  readonly #returned: readonly ReturnedDescriptor[];
  readonly #read: ReadQueues;

  constructor({ sys, log, returned, handed }: EarlierStoreSources) {
    this.#handed = handed;
    this.#returned = returned;
    this.#read = readQueues(sys, returned);
    for (const trouble of this.#read.damage) {
      log.error(`Locks that systemd keeps cannot be read, it keeps them on: ${trouble}`);
    }
    this.told = readHandover(handed?.extension?.journal);
  }

  /** What the service manager handed over, with the queues opened. Whoever recovers it owns it. */
  get descriptors(): readonly ReturnedDescriptor[] {
    return this.#read.descriptors;
  }

  /** Queues that the store has. */
  get queues(): readonly AdoptedQueue[] {
    if (this.#handed === undefined) return this.#read.queues;
    const { queues, missing } = this.told;
    // The message with such a one was still to be sent; with its process's ends the queue is gone.
    return queues.filter(({ name }) => !missing.includes(name));
  }

  /** Tripwires in it: read ends that an earlier image watched, and ends that the manager handed over. */
  get tripwires(): { readonly handed: readonly HeldTripwire[]; readonly returned: readonly HeldTripwire[] } {
    return {
      handed: handedTripwires(this.#handed),
      returned: this.#returned.filter(({ name }) => isTripwire(name)),
    };
  }

  /** Names of all that it has besides queues. @param slots what the journal says to be stored */
  names(slots: readonly StoredObject[]): string[] {
    if (this.#handed === undefined) {
      // Listening sockets may be the service manager's own, which are not in its store.
      return this.#returned.map(({ name }) => name).filter((name) =>
        parseQueueName(name) === undefined && !LISTENER_NAMES.includes(name)
      );
    }
    const { store, missing, leftOver, apart, listeners } = this.told;
    if (store === "none") return [];
    // Locks lie in queues, but for an earlier version's and those that were put by themselves.
    const single = slots.filter(({ kind }) => store === "single" || kind !== "lock");
    const absent = new Set(missing);
    return [JOURNAL_NAME, ...listeners, ...single.map(slotName), ...leftOver, ...apart]
      .filter((name) => !absent.has(name));
  }

  /** Names of what it has and should not have. @param recovered what was made of the descriptors */
  unwanted(recovered: Pick<Recovered, "unwanted"> | undefined): readonly string[] {
    return this.#handed === undefined ? recovered?.unwanted ?? [] : this.told.leftOver;
  }
}
