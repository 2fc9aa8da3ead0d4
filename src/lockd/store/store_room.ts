import { RecurringMap } from "../../base/recurring_map.ts";
import type { Log } from "../../chassis/log/log.ts";
import { parseQueueName } from "./queue_names.ts";
import { isTripwire } from "./tripwires.ts";

/**
 * Bytes of all names with a colon each: the manager hands them over in one environment variable
 * (LISTEN_FDNAMES), and with one of 128 KiB or more the kernel would not start the daemon at all.
 */
const NAMES_LIMIT = 130_000;
/** From this share of the limit on, the log warns. */
const WARN_AT = 0.9;
/** Most tripwires stored at once: the oldest, and two while the newest takes the place of another. */
export const TRIPWIRES = 3;

/**
 * The names under which the service manager keeps descriptors, and whether there is room for more. What is
 * over its limit it would drop without a word, so all is counted here.
 */
export class StoreRoom {
  readonly #log: Log;
  #limit: number;
  /** The same few come and go with the locks. */
  readonly #names = new RecurringMap<string, true>();
  #nameBytes = 0;
  #descriptors = 0;
  #least = 0;
  #tripwires = 0;
  /** Whether there has to be room for tripwires always. */
  #reserved = false;
  #warned = false;

  /** @param limit how many descriptors the manager takes */
  constructor(log: Log, limit: number) {
    this.#log = log;
    this.#limit = limit;
  }

  /** How many descriptors the manager takes. */
  get limit(): number {
    return this.#limit;
  }

  /** How many descriptors it has, or is about to get: a queue is two. */
  get used(): number {
    return this.#descriptors;
  }

  /** The fewest that these were since {@link noteLeast}. */
  get least(): number {
    return this.#least;
  }

  /** Notes from now on how few they are. */
  noteLeast(): void {
    this.#least = this.#descriptors;
  }

  /** Names under which it keeps something, or is about to. */
  get names(): Iterable<string> {
    return this.#names.keys();
  }

  /** Whether it is nearly full; the log has said so then. */
  get tight(): boolean {
    return this.#warned;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Why there is no room for another name with so many descriptors; undefined when there is. */
  fullFor(name: string, descriptors: number): string | undefined {
    if (this.used + descriptors > this.#room) return `the store is full: it takes ${this.#limit}`;
    if (this.#nameBytes + descriptors * (name.length + 1) > NAMES_LIMIT) {
      return `the store is full: with ${this.used} names no daemon could be started any more`;
    }
    return undefined;
  }

  /** Something is kept under a name; harmless when it is known. */
  keep(name: string): void {
    if (this.#names.has(name)) return;
    this.#names.set(name, true);
    this.#count(name, 1);
  }

  /** Nothing is kept under a name any more. @returns whether something was */
  forget(name: string): boolean {
    if (!this.#names.delete(name)) return false;
    this.#count(name, -1);
    return true;
  }

  /** Nothing is kept at all. */
  clear(): void {
    this.#names.clear();
    this.#nameBytes = 0;
    this.#descriptors = 0;
    this.#least = 0;
    this.#tripwires = 0;
  }

  /** From now on there is always room for tripwires, or not any more. */
  reserve(reserved: boolean): void {
    this.#reserved = reserved;
  }

  /** The manager takes another number of descriptors. */
  relimit(limit: number): void {
    this.#limit = limit;
    this.#warned = false;
  }

  /** Says so when it is nearly full, once. */
  warn(): void {
    const high = this.used >= this.#room * WARN_AT || this.#nameBytes >= NAMES_LIMIT * WARN_AT;
    if (high && !this.#warned) {
      this.#log.warn(
        `The service manager keeps ${this.used} descriptors and takes ${this.#limit}: raise FileDescriptorStoreMax= of the service, or further locks would not survive a crash`,
      );
    }
    this.#warned = high;
  }

  /** How many descriptors there may be. */
  get #room(): number {
    return this.#reserved ? this.#limit - TRIPWIRES + this.#tripwires : this.#limit;
  }

  /** The manager hands a name over once for each of its descriptors. */
  #count(name: string, times: 1 | -1): void {
    const descriptors = parseQueueName(name) === undefined ? 1 : 2;
    this.#descriptors += times * descriptors;
    this.#least = Math.min(this.#least, this.#descriptors);
    this.#nameBytes += times * descriptors * (name.length + 1);
    if (isTripwire(name)) this.#tripwires += times;
  }
}
