import { inWords } from "./in_words.ts";

/**
 * Makes a value of which nothing is known, as JSON brings it, one of a type.
 *
 * What is made of whole types, {@link fields} and {@link byKind}, asks for a shape of each part: one that was
 * forgotten does not compile.
 *
 * @param place where the value stands, as an error names it; "" for the outermost
 * @throws ShapeError when it is another value
 */
export type Shape<T> = (value: unknown, place?: string) => T;

/** A value is not what it should be. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";

  /** @param wanted what should be there, in words */
  constructor(place: string, wanted: string, found: unknown) {
    super(`${place === "" ? "" : `${place}: `}expected ${wanted}, got ${inWords(found)}`);
  }
}

/** The part of an object that may be absent. */
export interface Optional<T> {
  readonly optional: Shape<T>;
}

/** A shape for each field of an object; those that may be absent are {@link optional}. */
type FieldShapes<T> = {
  readonly [Name in keyof T]-?: Record<never, never> extends Pick<T, Name>
    ? Optional<Exclude<T[Name], undefined>>
    : Shape<T[Name]>;
};

/** A text. */
export const text: Shape<string> = (value, place = "") => {
  if (typeof value !== "string") throw new ShapeError(place, "a string", value);
  return value;
};

/** A number. */
export const number: Shape<number> = (value, place = "") => {
  if (typeof value !== "number") throw new ShapeError(place, "a number", value);
  return value;
};

/** True or false. */
export const flag: Shape<boolean> = (value, place = "") => {
  if (typeof value !== "boolean") throw new ShapeError(place, "true or false", value);
  return value;
};

/** What is passed on as it is. */
export const anything: Shape<unknown> = (value) => value;

/** A field that may be absent. */
export function optional<T>(shape: Shape<T>): Optional<T> {
  return { optional: shape };
}

/** One of some texts. @param words all of them, as keys */
export function oneOf<T extends string>(words: NoInfer<Readonly<Record<T, unknown>>>): Shape<T> {
  const isOne = (value: unknown): value is T => typeof value === "string" && Object.hasOwn(words, value);
  return (value, place = "") => {
    if (!isOne(value)) throw new ShapeError(place, `one of ${Object.keys(words).join(", ")}`, value);
    return value;
  };
}

/** Just this value. */
export function exactly<T extends boolean>(wanted: T): Shape<T> {
  return (value, place = "") => {
    if (value !== wanted) throw new ShapeError(place, String(wanted), value);
    return wanted;
  };
}

/** A list. @param shape of each entry */
export function listOf<T>(shape: Shape<T>): Shape<T[]> {
  return (value, place = "") => {
    if (!Array.isArray(value)) throw new ShapeError(place, "an array", value);
    return value.map((entry, index) => shape(entry, `${place}[${index}]`));
  };
}

/** An object whose fields have names that nobody knows before. @param shape of each field */
export function mapOf<T>(shape: Shape<T>): Shape<Record<string, T>> {
  return (value, place = "") => {
    const entries = Object.entries(asObject(value, place));
    return Object.fromEntries(entries.map(([name, field]) => [name, shape(field, inside(place, name))]));
  };
}

/**
 * An object with these fields. It is passed on as it is, with others that it may have: whoever sends it may
 * be of a later version.
 */
export function fields<T extends object>(shapes: NoInfer<FieldShapes<T>>): Shape<T> {
  const all: [string, Shape<unknown> | Optional<unknown>][] = Object.entries(shapes);
  return (value, place = "") => {
    const found = asObject(value, place);
    for (const [name, shape] of all) {
      const field = found[name];
      if (typeof shape === "function") shape(field, inside(place, name));
      else if (field !== undefined) shape.optional(field, inside(place, name));
    }
    // Each field of T has been looked at by a shape of its type.
    return found as T;
  };
}

/**
 * An object one of whose fields tells what the others are. It is passed on as {@link fields} does.
 *
 * @param key the name of that field
 * @param kinds for each text in it the shape of the whole
 */
export function byKind<Key extends string, T extends Readonly<Record<Key, string>>>(
  key: Key,
  kinds: { readonly [Kind in T[Key]]: Shape<Omit<Extract<T, Readonly<Record<Key, Kind>>>, Key>> },
): Shape<T> {
  const kind = oneOf<T[Key]>(kinds);
  return (value, place = "") => {
    const found = asObject(value, place);
    kinds[kind(found[key], inside(place, key))](found, place);
    // The shape that goes with its kind has looked at the rest.
    return found as T;
  };
}

/**
 * What a text in JSON is.
 *
 * @throws ShapeError when it is no JSON, or not of the shape
 */
export function parseJson<T>(text: string, shape: Shape<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ShapeError("", `JSON (${error.message})`, text);
  }
  return shape(value);
}

function asObject(value: unknown, place: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ShapeError(place, "an object", value);
  }
  return value as Readonly<Record<string, unknown>>;
}

function inside(place: string, name: string): string {
  return place === "" ? name : `${place}.${name}`;
}
