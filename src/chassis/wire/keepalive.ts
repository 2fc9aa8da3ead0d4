import { FRAME_MIN, type Header, MessageStatus, MessageType, writeHeader } from "./frame.ts";

// docs/protocol.md, Keepalive program.

/** Program number: `keep` in ASCII. */
export const KEEPALIVE_PROGRAM = 0x6b656570;
/** The only version. */
export const KEEPALIVE_VERSION = 1;

/** Procedure numbers. Both are MESSAGEs without a payload. */
export const KeepaliveProcedure = {
  PING: 1,
  PONG: 2,
} as const;

const PING: Readonly<Header> = {
  program: KEEPALIVE_PROGRAM,
  version: KEEPALIVE_VERSION,
  procedure: KeepaliveProcedure.PING,
  type: MessageType.MESSAGE,
  serial: 0,
  status: MessageStatus.OK,
};
const PONG: Readonly<Header> = { ...PING, procedure: KeepaliveProcedure.PONG };

/** Whether it is a PING, which is answered by {@link writePong}; serial, status and payload do not matter. */
export function isPing(header: Header): boolean {
  return isKeepalive(header) && header.procedure === KeepaliveProcedure.PING;
}

/**
 * Writes a PONG frame into `target` at `offset`.
 *
 * @returns its length
 * @throws RangeError when it does not fit
 */
export function writePong(target: Uint8Array, offset: number): number {
  writeHeader(target, offset, PONG, 0);
  return FRAME_MIN;
}

function isKeepalive(header: Header): boolean {
  return header.program === KEEPALIVE_PROGRAM && header.version === KEEPALIVE_VERSION &&
    header.type === MessageType.MESSAGE;
}
