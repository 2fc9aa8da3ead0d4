// Between the daemon and a helper while a volume is uploaded or downloaded: frames on a stream socket, each a
// head and then, of data, its bytes.

import { invariant } from "../../base/invariant.ts";

/** Bytes of a head: what it is, and how long, both as 64 bits. */
export const HEAD_SIZE = 16;
/** Most bytes of data in a frame. */
export const FRAME_DATA = 1 << 20;

/** What a frame is. */
export const FrameKind = {
  DATA: 0,
  /** So many bytes of zeros. */
  HOLE: 1,
  /** There is no more; from then on the end of the stream is as it should be. */
  END: 2,
} as const;
export type FrameKind = typeof FrameKind[keyof typeof FrameKind];

/** Head of a frame. */
export interface FrameHead {
  readonly kind: FrameKind;
  readonly length: number;
}

/** Writes a head into the beginning of `into`. */
export function writeHead(into: Uint8Array, kind: FrameKind, length: number): void {
  const view = new DataView(into.buffer, into.byteOffset, HEAD_SIZE);
  view.setBigUint64(0, BigInt(kind), true);
  view.setBigUint64(8, BigInt(length), true);
}

/**
 * The head at the beginning of `bytes`.
 *
 * @throws InvariantError when it is none: data would be written where there are none, or in the wrong place
 */
export function readHead(bytes: Uint8Array): FrameHead {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEAD_SIZE);
  const number = Number(view.getBigUint64(0, true));
  const kind = Object.values(FrameKind).find((known) => known === number);
  invariant(kind !== undefined, `A frame of a volume begins with a head of kind ${number}`);
  return { kind, length: Number(view.getBigUint64(8, true)) };
}
