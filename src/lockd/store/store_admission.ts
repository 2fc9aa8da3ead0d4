import type { RefusedNames } from "./refused_names.ts";
import type { StoreRoom } from "./store_room.ts";

/**
 * What may be stored: nothing while the service manager keeps nothing, and never more than it has room for.
 * What is refused is known by its name from then on, until it is stored or not wanted any more.
 */
export class StoreAdmission {
  readonly #room: StoreRoom;
  readonly #refused: RefusedNames;
  #kept = true;

  constructor(room: StoreRoom, refused: RefusedNames) {
    this.#room = room;
    this.#refused = refused;
  }

  /** Whether the manager keeps what it was sent, as far as is known. */
  get kept(): boolean {
    return this.#kept;
  }

  /** From now on nothing is kept. */
  suspend(): void {
    this.#kept = false;
  }

  /** What is stored from now on is kept again. @param limit how many descriptors the manager takes */
  resume(limit: number): void {
    this.#kept = true;
    // Whatever is wanted is stored anew; what that has no room for is refused again.
    this.#refused.clear();
    this.#room.relimit(limit);
  }

  /** Why so many descriptors cannot be stored under a name; undefined when they can. */
  fullFor(name: string, descriptors: number): string | undefined {
    if (!this.#kept) return "systemd does not take it";
    return this.#room.fullFor(name, descriptors);
  }

  /** Whether a descriptor may be stored under a new name; then it counts as stored, else as refused. */
  admit(name: string): boolean {
    const reason = this.fullFor(name, 1);
    if (reason !== undefined) {
      this.refuse(name, reason);
      return false;
    }
    this.#refused.delete(name);
    this.keep(name);
    return true;
  }

  /** Something is about to be stored under a name. */
  keep(name: string): void {
    this.#room.keep(name);
    this.#room.warn();
  }

  /** What has a name is not stored. */
  refuse(name: string, reason: string): void {
    this.#room.forget(name);
    this.#refused.refuse(name, reason, !this.#kept);
  }
}
