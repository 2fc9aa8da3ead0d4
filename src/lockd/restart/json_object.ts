import { inWords } from "../../base/in_words.ts";
import { RestartStateError } from "./restart_state_error.ts";

const MAX_DESCRIPTOR = 0x7fffffff;
/** Highest pid, uid, count and id of 32 bits. */
export const MAX_U32 = 0xffffffff;

/**
 * An object of a parsed JSON document that knows its place, so that an error can name it.
 *
 * Every reader throws {@link RestartStateError} for a value that is missing or of another kind than asked
 * for.
 */
export class JsonObject {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #parent: JsonObject | undefined;
  readonly #key: string;
  readonly #index: number;
  /** Descriptors read of the whole document so far: each may be named once. */
  readonly #claimed: Set<number>;

  private constructor(value: unknown, parent: JsonObject | undefined, key: string, index: number) {
    this.#parent = parent;
    this.#key = key;
    this.#index = index;
    this.#claimed = parent === undefined ? new Set() : parent.#claimed;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new RestartStateError(this.path, "an object", inWords(value));
    }
    this.#fields = value as Record<string, unknown>;
  }

  /** The document itself. */
  static document(value: unknown): JsonObject {
    return new JsonObject(value, undefined, "", -1);
  }

  /** Place in the document; "" for the document itself. */
  get path(): string {
    if (this.#parent === undefined) return "";
    const path = this.#parent.pathOf(this.#key);
    return this.#index < 0 ? path : `${path}[${this.#index}]`;
  }

  /** Place of a field of this object. */
  pathOf(key: string): string {
    const own = this.path;
    return own === "" ? key : `${own}.${key}`;
  }

  /** Refuses the field `key`. */
  fail(key: string, wanted: string, found = inWords(this.value(key))): never {
    throw new RestartStateError(this.pathOf(key), wanted, found);
  }

  /** A field as it is; undefined when missing. */
  value(key: string): unknown {
    return this.#fields[key];
  }

  /** Whether there is such a field. */
  has(key: string): boolean {
    return this.value(key) !== undefined;
  }

  /** Whether a field is an array. */
  isArray(key: string): boolean {
    return Array.isArray(this.#fields[key]);
  }

  object(key: string): JsonObject {
    return new JsonObject(this.value(key), this, key, -1);
  }

  /** An array of anything. */
  array(key: string): readonly unknown[] {
    const value = this.value(key);
    return Array.isArray(value) ? value : this.fail(key, "an array");
  }

  /** An array of objects, read one by one: 40,000 of them kept at once would cost more than reading them. */
  objects<T>(key: string, read: (object: JsonObject, index: number) => T): T[] {
    return this.array(key).map((value, index) => read(new JsonObject(value, this, key, index), index));
  }

  string(key: string, wanted = "a string"): string {
    const value = this.value(key);
    return typeof value === "string" ? value : this.fail(key, wanted);
  }

  boolean(key: string): boolean {
    const value = this.value(key);
    return typeof value === "boolean" ? value : this.fail(key, "true or false");
  }

  /** A whole number of at most `max`. */
  integer(key: string, wanted: string, max = Number.MAX_SAFE_INTEGER, min = 0): number {
    const value = this.value(key);
    return isInteger(value, min, max) ? value : this.fail(key, wanted);
  }

  /** An array of whole numbers of at most `max`. */
  integers(key: string, wanted: string, max = Number.MAX_SAFE_INTEGER): readonly number[] {
    const values = this.array(key);
    for (let index = 0; index < values.length; index++) {
      const value = values[index];
      if (!isInteger(value, 0, max)) {
        throw new RestartStateError(`${this.pathOf(key)}[${index}]`, wanted, inWords(value));
      }
    }
    return values as readonly number[];
  }

  /**
   * A descriptor that no other field of the document names: two owners of one descriptor would close it
   * twice.
   */
  descriptor(key: string): number {
    const fd = this.integer(key, "a descriptor number", MAX_DESCRIPTOR);
    this.#claim(fd, key);
    return fd;
  }

  /** An array of descriptors, as {@link descriptor}. */
  descriptors(key: string): readonly number[] {
    const all = this.integers(key, "a descriptor number", MAX_DESCRIPTOR);
    all.forEach((fd, index) => this.#claim(fd, `${key}[${index}]`));
    return all;
  }

  #claim(fd: number, key: string): void {
    if (this.#claimed.has(fd)) this.fail(key, "a descriptor of its own", `${fd}, which is named before`);
    this.#claimed.add(fd);
  }
}

function isInteger(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}
