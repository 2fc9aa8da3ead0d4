import type { KeptObject } from "./descriptor_keeper.ts";

/** A descriptor that is not to be kept any more, as soon as it is recorded why. */
export interface Removal {
  readonly name: string;
  /** Called when its name may be used again. */
  readonly freed: () => void;
}

/** What is recorded together. */
export interface Changes<O> {
  readonly operations: readonly O[];
  /** Kept before the operations are recorded. */
  readonly wanted: readonly KeptObject[];
  /** Not kept any more once they are. */
  readonly removed: readonly Removal[];
  /** Keys of clients whose connection is recorded with them. */
  readonly arriving: readonly number[];
}

/** What has happened since something was recorded last, in order. */
export class PendingChanges<O> {
  #operations: O[] = [];
  #wanted: KeptObject[] = [];
  #removed: Removal[] = [];
  #arriving: number[] = [];

  /** Whether there is anything to be recorded. */
  get any(): boolean {
    return this.#operations.length > 0;
  }

  add(operation: O): void {
    this.#operations.push(operation);
  }

  /** A descriptor is to be kept, before what is added is recorded. */
  want(object: KeptObject): void {
    this.#wanted.push(object);
  }

  /** The connection of a client is recorded with what is added. */
  arrive(key: number): void {
    this.#arriving.push(key);
  }

  /** @returns whether it was wanted and not taken yet: then nobody keeps it, nor will */
  withdraw(name: string): boolean {
    const place = this.#wanted.findIndex((each) => each.name === name);
    if (place >= 0) this.#wanted.splice(place, 1);
    return place >= 0;
  }

  remove(removal: Removal): void {
    this.#removed.push(removal);
  }

  /** All of it, which is the caller's to record from here on. */
  take(): Changes<O> {
    const changes = {
      operations: this.#operations,
      wanted: this.#wanted,
      removed: this.#removed,
      arriving: this.#arriving,
    };
    this.#operations = [];
    this.#wanted = [];
    this.#removed = [];
    this.#arriving = [];
    return changes;
  }
}
