import { ByteCode } from "../../chassis/journal/byte_codec.ts";
import type { Operation } from "./operations.ts";

// How operations are told apart in a record, where each is an array.
//
// A reader ignores fields at the end of an operation that it does not know. A code below zero marks an
// operation that it may skip when it does not know it: the first field says how many bytes behind the text
// are its own. Any other new operation needs a new layout, with OLDEST_READER raised to it (layout.ts).

/** First element of an operation in a record, by the operation that it stands for. */
export const Code = {
  ...ByteCode,
  snapshot: 0,
  lockspace: 1,
  /** No operation: gives an owner the next number, from 0. */
  numberOwner: 2,
  grant: 3,
  share: 4,
  release: 5,
  doubtful: 6,
  client: 7,
  owner: 8,
  restricted: 9,
  dying: 11,
  settled: 12,
  /**
   * No operation: earlier versions wrote it for holders without a connection. What is recorded of their
   * owners is enough.
   */
  orphan: 13,
  carried: 18,
  // Negative: versions that do not know these skip them.
  parked: -1,
  unparked: -2,
} as const satisfies Readonly<Record<Operation["op"] | "numberOwner" | "orphan", number>>;

/** What an element of a record is. */
export type CodeName = keyof typeof Code;

const NAMES = new Map(Object.entries(Code).map(([name, code]) => [code as number, name as CodeName]));

/** What a code stands for; undefined for one that this program does not know. */
export function codeName(code: number): CodeName | undefined {
  return NAMES.get(code);
}

/**
 * Bits of the flags of a granted resource. A version that does not know one of the last two takes the lock
 * for a held one, which it gives to nobody else.
 */
export const GrantFlag = {
  SHARED: 1,
  AUTOCREATE: 2,
  POSIX: 4,
  HALF_FAILED: 8,
  WHILE_PAUSED: 16,
  PARKED: 32,
  LEAVING: 64,
} as const;
