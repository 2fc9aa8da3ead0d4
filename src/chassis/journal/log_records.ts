import { invariant } from "../../base/invariant.ts";
import { SystemError } from "../../os/system_error.ts";
import { crc32 } from "./crc32.ts";
import type { JournalMemory } from "./journal_memory.ts";
import type { Payload } from "./log_format.ts";

/** Length and checksum before the payload. */
const RECORD_HEADER = 8;
/** The payload's first word: bytes of its text. */
const TEXT_LENGTH = 4;
const ALIGNMENT = 8;
/** Bytes of UTF-8 that a code unit takes at most. */
const MOST_BYTES = 3;

/** How the records of a log end. */
export type LogEnd =
  /** As they should. */
  | { kind: "clean" }
  /** With something that is no record: not finished, or damaged. */
  | { kind: "torn"; reason: string };

/** What was read from a log. */
export interface LogContents {
  /** Offset behind the last good record. */
  readonly end: number;
  readonly how: LogEnd;
}

/** Offset behind a record with so many payload bytes at `at`. */
function behind(at: number, length: number): number {
  return Math.ceil((at + RECORD_HEADER + length) / ALIGNMENT) * ALIGNMENT;
}

/**
 * Appends a record. It is valid from the last store on: the length is written behind everything else, and the
 * length word behind the record says that nothing follows.
 *
 * @param at offset, a multiple of 8
 * @returns offset of the next record
 * @throws SystemError when there is no memory; then nothing valid was written
 */
export function appendRecord(
  memory: JournalMemory,
  at: number,
  generation: number,
  { text, bytes }: Payload,
): number {
  invariant(at % ALIGNMENT === 0, "A record is to be appended between two places for records");
  const payload = at + RECORD_HEADER;
  let rest = TEXT_LENGTH;
  for (const piece of bytes) rest += piece.length;
  reserveFor(memory, at, text, rest);
  // What lies here may be a record of an older log.
  memory.writeWord(at, 0);
  const textLength = memory.writeText(payload + TEXT_LENGTH, text);
  memory.writeWord(payload, textLength);
  let end = payload + TEXT_LENGTH + textLength;
  for (const piece of bytes) {
    memory.writeBytes(end, piece);
    end += piece.length;
  }
  commit(memory, at, end - payload, generation);
  return behind(at, end - payload);
}

/**
 * Makes room for a record: as much as its text may take at most, for to count that costs as much as to write
 * it; where there is not so much, what it does take.
 *
 * @param rest bytes of its payload beside the text
 * @throws SystemError when there is no memory
 */
function reserveFor(memory: JournalMemory, at: number, text: string, rest: number): void {
  try {
    memory.reserve(behind(at, text.length * MOST_BYTES + rest) + RECORD_HEADER);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    memory.reserve(behind(at, new TextEncoder().encode(text).length + rest) + RECORD_HEADER);
  }
}

/**
 * Copies the records of one log to be those of another. What is between is untouched.
 *
 * @param from offset of the first; all of them are valid
 * @param end offset behind the last
 * @param to offset at least so far before `from` as they are long
 * @param generation that of the other log
 * @returns offset behind the last copy
 */
export function moveRecords(
  memory: JournalMemory,
  from: number,
  end: number,
  to: number,
  generation: number,
): number {
  invariant(to + (end - from) + RECORD_HEADER <= from, `Records at ${from} would be moved over themselves`);
  let at = to;
  for (let source = from; source < end;) {
    const length = memory.readWord(source);
    memory.writeWord(at, 0);
    memory.copyBytes(at + RECORD_HEADER, source + RECORD_HEADER, length);
    commit(memory, at, length, generation);
    source = behind(source, length);
    at = behind(at, length);
  }
  if (from === end) memory.writeWord(at, 0);
  return at;
}

/** Makes the payload at `at` a record, the last one of its log. */
function commit(memory: JournalMemory, at: number, length: number, generation: number): void {
  memory.writeWord(behind(at, length), 0);
  memory.writeWord(at + 4, recordChecksum(memory.bytes, at, length, generation));
  memory.commitWord(at, length);
}

/**
 * Reads records until the first that is none.
 *
 * @param size bytes that may be read
 * @param take gets each payload; may throw SyntaxError. Without it only their checksums are looked at
 */
export function readRecords(
  bytes: Uint8Array,
  size: number,
  base: number,
  generation: number,
  take: ((text: string, bytes: Uint8Array) => void) | undefined,
): LogContents {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const torn = (end: number, reason: string): LogContents => ({ end, how: { kind: "torn", reason } });
  for (let at = base;;) {
    if (at + RECORD_HEADER > size) return { end: at, how: { kind: "clean" } };
    const length = view.getUint32(at, true);
    if (length === 0) return { end: at, how: { kind: "clean" } };
    if (length > size - at - RECORD_HEADER) {
      return torn(at, `a record at ${at} claims ${length} bytes, ${size - at - RECORD_HEADER} are there`);
    }
    if (view.getInt32(at + 4, true) !== recordChecksum(bytes, at, length, generation)) {
      return torn(at, `the checksum of the record at ${at} is wrong`);
    }
    try {
      const start = at + RECORD_HEADER + TEXT_LENGTH;
      const split = start + view.getUint32(at + RECORD_HEADER, true);
      take?.(
        decoder.decode(bytes.subarray(start, split)),
        bytes.subarray(split, at + RECORD_HEADER + length),
      );
    } catch (error) {
      if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
      return torn(at, `the record at ${at} does not decode: ${error.message}`);
    }
    at = behind(at, length);
  }
}

function recordChecksum(bytes: Uint8Array, at: number, length: number, generation: number): number {
  return crc32(bytes, at + RECORD_HEADER, at + RECORD_HEADER + length, (generation ^ at ^ length) | 0);
}
