import type { KeyValue } from "../../../etcd/wire/transaction.ts";

/** Something in etcd is not as it has to be. */
export class RecordError extends Error {
  override readonly name = "RecordError";
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

export function fieldsOf({ key, value }: Pick<KeyValue, "key" | "value">): Readonly<Record<string, unknown>> {
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

export function numberOf(key: string, record: Readonly<Record<string, unknown>>, field: string): number {
  const value = record[field];
  if (typeof value !== "number") throw new RecordError(`${key} has no number as its ${field}`);
  return value;
}
