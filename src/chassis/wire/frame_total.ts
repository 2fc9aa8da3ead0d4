import { getU32 } from "./big_endian.ts";
import { DESCRIPTORS_MAX, FRAME_MIN, frameLength, MessageType } from "./frame.ts";

const TYPE_OFFSET = 16;

/**
 * Length of the message at `at` with the descriptor bytes that follow it.
 *
 * @param available bytes present from `at` on
 * @returns the total, 0 when too little is present to tell, -1 when the stream cannot be followed any more
 */
export function frameTotal(bytes: Uint8Array, at: number, available: number): number {
  const length = frameLength(bytes, at, available);
  if (length <= 0) return length;
  if (available < FRAME_MIN) return 0;
  if (getU32(bytes, at + TYPE_OFFSET) !== MessageType.CALL_WITH_FDS) return length;
  if (length < FRAME_MIN + 4) return -1;
  if (available < FRAME_MIN + 4) return 0;
  const descriptors = getU32(bytes, at + FRAME_MIN);
  return descriptors > DESCRIPTORS_MAX ? -1 : length + descriptors;
}
