import type { AdoptedQueue } from "./descriptor_queue.ts";
import type { RefusedNames } from "./refused_names.ts";
import type { StoreOutbox } from "./store_outbox.ts";
import type { StoreRoom } from "./store_room.ts";
import type { StoredQueues } from "./stored_queues.ts";
import type { HeldTripwire, Tripwires } from "./tripwires.ts";

/** The parts of a store that know what is in it. */
export interface StoreContentsParts {
  readonly room: Pick<StoreRoom, "names">;
  readonly refused: RefusedNames;
  readonly outbox: Pick<StoreOutbox, "stores" | "removals">;
  readonly queues: Pick<StoredQueues, "handover">;
  readonly tripwires: Pick<Tripwires, "held">;
}

/** What the store has, and what it should have, for the next image of this process. */
export class StoreContents {
  readonly #parts: StoreContentsParts;

  constructor(parts: StoreContentsParts) {
    this.#parts = parts;
  }

  /** Names under which single descriptors are stored, or on their way. */
  get names(): Iterable<string> {
    return this.#parts.room.names;
  }

  /** Tripwires that the next image may go on with. */
  get tripwires(): readonly HeldTripwire[] {
    return this.#parts.tripwires.held;
  }

  /** The queues, with which it goes on. */
  get queues(): readonly AdoptedQueue[] {
    return this.#parts.queues.handover;
  }

  /** Names that are not stored although they should be: refused, or still waiting. */
  get missing(): string[] {
    return [...this.#parts.refused, ...this.#parts.outbox.stores];
  }

  /** Names that are still stored although they should not be. */
  get leftOver(): string[] {
    return this.#parts.outbox.removals;
  }
}
