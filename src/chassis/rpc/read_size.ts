import { FRAME_MIN, type Header, readHeader } from "../wire/frame.ts";
import { frameTotal } from "../wire/frame_total.ts";
import type { InputBuffer } from "./input_buffer.ts";
import type { Program } from "./program.ts";

/**
 * Bytes taken from a socket at once: enough for a request with a hash as its name. Of a client that pipelines
 * thousands of requests see {@link nextReadSize}.
 */
export const READ_SIZE = 160;
/** The same of a message that is longer: for as long as copying it takes, the others wait. */
const PIECE_SIZE = 16384;

/**
 * How many bytes to read on top of a buffer: exactly the rest of its first message, if that is incomplete.
 */
export function wantedBytes(input: InputBuffer): number {
  const total = frameTotal(input.bytes, 0, input.length);
  const have = input.length + input.dropped;
  if (total > have) return Math.min(total - have, PIECE_SIZE);
  return total === 0 ? Math.max(1, FRAME_MIN + 4 - have) : READ_SIZE;
}

/** Whether a buffer begins with a message that is all there, or with what can be none. */
export function beginsWhole(input: InputBuffer): boolean {
  const total = frameTotal(input.bytes, 0, input.length);
  return total < 0 || total > 0 && total <= input.length + input.dropped;
}

/**
 * How much of the first message in a buffer is worth keeping: as much as its program can need.
 *
 * @param header filled with the message's header
 */
export function worthKeeping(input: InputBuffer, programs: readonly Program[], header: Header): number {
  if (input.length < FRAME_MIN) return Infinity;
  readHeader(input.bytes, 0, header);
  const program = programs.find((candidate) => candidate.number === header.program);
  return FRAME_MIN + 4 + (program?.maxPayload ?? 0);
}

/**
 * How many bytes to read of a client next time that nothing of it is kept. Who has sent more than one message
 * gets one of them served in its turn from then on, so that the others are not kept waiting; who waits for
 * each reply has all of its next message read at once.
 *
 * @param first length of the message with which what was received now begins, 0 when that is not all there
 * @param received bytes
 * @param asked bytes that were asked for
 */
export function nextReadSize(first: number, received: number, asked: number): number {
  if (first === received) return received < asked ? READ_SIZE : asked;
  return first > 0 ? Math.min(first, READ_SIZE) : asked;
}
