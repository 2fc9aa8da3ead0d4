import { XdrError } from "../../chassis/wire/xdr_error.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";

// This daemon's own program on the admin socket: what `virtlockd locks`, `clients`, `metrics` and `status`
// ask. Each procedure takes flags, a cursor and a limit, and returns a page of JSON with the cursor of the
// next.

/** Program number: `vlkd` in ASCII. */
export const STATUS_PROGRAM = 0x764c6b64;
/** The only version. */
export const STATUS_VERSION = 1;
/** Longest cursor, in bytes. */
export const CURSOR_MAX = 4096;
/** Longest name, path or uuid that is asked for, in bytes. */
export const NAME_MAX = 65536;
/** Most payload bytes that a procedure can need: flags and four strings of RELEASE. */
export const STATUS_MAX_PAYLOAD = 4 + 4 * (4 + NAME_MAX);
/** Longest page of JSON, in bytes. */
export const PAGE_MAX = 8 * 1024 * 1024;

/** Procedure numbers. */
export const StatusProcedure = {
  GET_STATUS: 1,
  LIST_LOCKS: 2,
  LIST_CLIENTS: 3,
  GET_METRICS: 4,
  RELEASE: 5,
} as const;

/** Flag of RELEASE: although the owner lives. */
export const RELEASE_FORCE = 1;

/** Arguments of RELEASE, which replies with a page as the others do. */
export interface ReleaseArgs {
  flags: number;
  lockspace: string;
  resource: string;
  /** Of the one whose holding is meant, in any spelling; "" where there is only one. */
  uuid: string;
  /** Name of the guest that lives and loses its lock; "" without {@link RELEASE_FORCE}. */
  guest: string;
}

/** Reads the arguments of RELEASE. */
export function decodeReleaseArgs(reader: XdrReader): ReleaseArgs {
  return {
    flags: reader.u32(),
    lockspace: reader.string(NAME_MAX),
    resource: reader.string(NAME_MAX),
    uuid: reader.string(NAME_MAX),
    guest: reader.string(NAME_MAX),
  };
}

/** Writes the arguments of RELEASE. */
export function encodeReleaseArgs(writer: XdrWriter, args: ReleaseArgs): void {
  writer.u32(args.flags);
  for (const text of [args.lockspace, args.resource, args.uuid, args.guest]) writer.string(text);
}

/** Arguments of each procedure but RELEASE. */
export interface PageArgs {
  flags: number;
  /** Where to go on, "" from the start. */
  cursor: string;
  /** Most entries wanted, 0 for as many as fit. */
  limit: number;
}

/** Reply of each procedure. */
export interface Page {
  json: string;
  /** Cursor of the next page, "" at the end. */
  next: string;
}

/** Reads the arguments of a procedure. */
export function decodePageArgs(reader: XdrReader): PageArgs {
  return { flags: reader.u32(), cursor: reader.string(CURSOR_MAX), limit: reader.u32() };
}

/** Writes the arguments of a procedure. */
export function encodePageArgs(writer: XdrWriter, { flags, cursor, limit }: PageArgs): void {
  writer.u32(flags);
  writer.string(cursor);
  writer.u32(limit);
}

/** Reads the reply of a procedure. */
export function decodePage(reader: XdrReader): Page {
  return { json: reader.string(PAGE_MAX), next: reader.string(CURSOR_MAX) };
}

/**
 * Writes the reply of a procedure.
 *
 * @throws XdrError when the page or its cursor is too long for the reader; the writer holds a part of the
 *   reply then
 */
export function encodePage(writer: XdrWriter, { json, next }: Page): void {
  writeBounded(writer, json, PAGE_MAX, "page");
  writeBounded(writer, next, CURSOR_MAX, "cursor");
}

function writeBounded(writer: XdrWriter, text: string, limit: number, what: string): void {
  const start = writer.length;
  writer.string(text);
  // The limits are multiples of four, so padding never counts.
  if (writer.length - start - 4 > limit) {
    throw new XdrError(`Cannot encode ${what}: more than ${limit} bytes`);
  }
}
