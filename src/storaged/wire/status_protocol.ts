import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";

// The daemon's own program on the admin socket: what its commands ask. Each procedure takes flags and a
// number, and replies with one string of JSON.

/** Program number: `vstd` in ASCII. */
export const STATUS_PROGRAM = 0x76737464;
/** The only version. */
export const STATUS_VERSION = 1;
/** Payload bytes of each call. */
export const STATUS_MAX_PAYLOAD = 8;
/** Longest reply, in bytes. */
export const DOCUMENT_MAX = 8 << 20;

/** Procedure numbers. */
export const StatusProcedure = {
  GET_STATUS: 1,
  LIST_JOBS: 2,
  CANCEL_JOB: 3,
  GET_METRICS: 4,
  LIST_CLIENTS: 5,
} as const;

/** Arguments of each procedure. */
export interface StatusArgs {
  /** None is known. */
  readonly flags: number;
  /** The job that is meant; 0 where none is. */
  readonly job: number;
}

/** Reads {@link StatusArgs}. */
export function decodeStatusArgs(reader: XdrReader): StatusArgs {
  return { flags: reader.u32(), job: reader.u32() };
}

/** Writes {@link StatusArgs}. */
export function encodeStatusArgs(writer: XdrWriter, { flags, job }: StatusArgs): void {
  writer.u32(flags);
  writer.u32(job);
}
