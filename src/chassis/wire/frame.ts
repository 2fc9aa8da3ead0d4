import { getU32, putU32 } from "./big_endian.ts";

// A frame is a u32 length, which counts itself, a header of six 32-bit fields, and the payload.
// docs/protocol.md, Framing.

/** Bytes of the length word. */
const LENGTH_SIZE = 4;
/** Shortest frame: length word and header. */
export const FRAME_MIN = 28;
/** Longest frame, with its length word. */
export const FRAME_MAX = 33554436;
/** Most descriptors that a CALL_WITH_FDS may announce. */
export const DESCRIPTORS_MAX = 32;

/** What a message is. Any other u32 can arrive too. */
export const MessageType = {
  CALL: 0,
  REPLY: 1,
  MESSAGE: 2,
  STREAM: 3,
  CALL_WITH_FDS: 4,
  STREAM_HOLE: 6,
} as const;

/** How it went. A CALL has OK. */
export const MessageStatus = {
  OK: 0,
  ERROR: 1,
  CONTINUE: 2,
} as const;

/** The header of a message. All fields are u32 but `procedure`, which is i32. */
export interface Header {
  program: number;
  version: number;
  procedure: number;
  type: number;
  /** Chosen by the caller, echoed in the reply. */
  serial: number;
  status: number;
}

/** A header of zeros, to be filled by {@link readHeader}. */
export function emptyHeader(): Header {
  return { program: 0, version: 0, procedure: 0, type: 0, serial: 0, status: 0 };
}

/**
 * The whole length of the frame that begins at `offset`, known from its first four bytes.
 *
 * @param available bytes received from `offset` on; the frame is complete when they are at least the result
 * @returns 0 when more bytes are needed to know it, -1 when it is not in {@link FRAME_MIN}..{@link
 *   FRAME_MAX}: what follows cannot be made sense of, so the connection has to be closed
 */
export function frameLength(bytes: Uint8Array, offset: number, available: number): number {
  if (available < LENGTH_SIZE) return 0;
  const length = getU32(bytes, offset);
  return length < FRAME_MIN || length > FRAME_MAX ? -1 : length;
}

/**
 * Reads the header of the frame that begins at `offset`. The payload begins at `offset + FRAME_MIN`.
 *
 * @throws RangeError when the array ends before the header does
 */
export function readHeader(bytes: Uint8Array, offset: number, into: Header): void {
  requireRoom("read", bytes, offset);
  into.program = getU32(bytes, offset + 4);
  into.version = getU32(bytes, offset + 8);
  into.procedure = getU32(bytes, offset + 12) | 0;
  into.type = getU32(bytes, offset + 16);
  into.serial = getU32(bytes, offset + 20);
  into.status = getU32(bytes, offset + 24);
}

/**
 * Writes length word and header, {@link FRAME_MIN} bytes, at `offset`.
 *
 * @throws RangeError when they do not fit, or the payload makes the frame longer than {@link FRAME_MAX}
 */
export function writeHeader(
  target: Uint8Array,
  offset: number,
  header: Readonly<Header>,
  payloadLength: number,
): void {
  requireRoom("write", target, offset);
  const length = FRAME_MIN + payloadLength;
  if (length > FRAME_MAX) {
    throw new RangeError(
      `Cannot write frame: payload length ${payloadLength} is not in 0..${FRAME_MAX - FRAME_MIN}`,
    );
  }
  putU32(target, offset, length);
  putU32(target, offset + 4, header.program);
  putU32(target, offset + 8, header.version);
  putU32(target, offset + 12, header.procedure);
  putU32(target, offset + 16, header.type);
  putU32(target, offset + 20, header.serial);
  putU32(target, offset + 24, header.status);
}

/**
 * Completes a frame whose payload has been written to a writer after `writer.reserve(FRAME_MIN)`.
 *
 * The header comes last because only then it is known whether the reply is an error.
 *
 * @param start what `reserve` returned
 * @throws RangeError as {@link writeHeader}
 */
export function finishFrame(
  writer: { readonly bytes: Uint8Array; readonly length: number },
  start: number,
  header: Readonly<Header>,
): void {
  writeHeader(writer.bytes, start, header, writer.length - start - FRAME_MIN);
}

/** A whole frame in bytes of its own. Throws as {@link writeHeader}. */
export function encodeFrame(header: Readonly<Header>, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(FRAME_MIN + payload.length);
  writeHeader(frame, 0, header, payload.length);
  frame.set(payload, FRAME_MIN);
  return frame;
}

function requireRoom(action: string, bytes: Uint8Array, offset: number): void {
  if (offset >= 0 && offset + FRAME_MIN <= bytes.length) return;
  throw new RangeError(
    `Cannot ${action} header: ${bytes.length - offset} bytes at ${offset}, ${FRAME_MIN} wanted`,
  );
}
