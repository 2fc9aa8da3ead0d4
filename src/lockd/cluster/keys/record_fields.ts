import type { KeyValue } from "../../../etcd/wire/transaction.ts";

/** The greatest of a record's numbers that can mean something: the last millisecond that a date can name. */
const GREATEST = 8.64e15;

/** Something in etcd is not as it has to be. The message names its key. */
export class RecordError extends Error {
  /** What a person does about it. */
  static readonly ADVICE = "docs/cluster-etcd.md says what to do with such a key";
  override readonly name = "RecordError";
  /** The key, and what is wrong with it. */
  readonly wrong: string;

  constructor(wrong: string, options?: { cause: unknown }) {
    super(`${wrong} (${RecordError.ADVICE})`, options);
    this.wrong = wrong;
  }
}

/** What a record says; undefined for one that cannot be read, which says nothing. */
export function readable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return undefined;
  }
}

/** What a record says, or what is wrong with its key. */
export function readOrWhy<T extends object>(decode: () => T): T | string {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return error.message;
  }
}

export function fieldsOf({ key, value }: Pick<KeyValue, "key" | "value">): Readonly<Record<string, unknown>> {
  // It could be JSON all the same, and a name in it something else than is shown.
  if (!value.isWellFormed()) throw new RecordError(`${key} holds bytes that are no text`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    throw new RecordError(`${key} holds no record`, { cause: error });
  }
  if (typeof parsed !== "object" || parsed === null) throw new RecordError(`${key} holds no record`);
  return { ...parsed };
}

export function textOf(key: string, record: Readonly<Record<string, unknown>>, field: string): string {
  const value = record[field];
  if (typeof value !== "string") throw new RecordError(`${key} has no text as its ${field}`);
  return value;
}

export function textsOf(key: string, record: Readonly<Record<string, unknown>>, field: string): string[] {
  const value = record[field];
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
    throw new RecordError(`${key} has no list of texts as its ${field}`);
  }
  return value;
}

export function oneOf<T extends string>(
  key: string,
  record: Readonly<Record<string, unknown>>,
  field: string,
  known: readonly T[],
): T {
  const value = textOf(key, record, field);
  const found = known.find((each) => each === value);
  if (found === undefined) throw new RecordError(`${key} has '${value}' as its ${field}, which is not known`);
  return found;
}

/** A time, a process or a count: none is less than 0, or in pieces, and every time can be shown. */
export function numberOf(key: string, record: Readonly<Record<string, unknown>>, field: string): number {
  const value = record[field];
  if (typeof value !== "number") throw new RecordError(`${key} has no number as its ${field}`);
  if (!Number.isInteger(value) || value < 0 || value > GREATEST) {
    throw new RecordError(`${key} has ${value} as its ${field}, which cannot be`);
  }
  return value;
}
