import { encodeFrame, type Header, MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";

// A client's half of the keepalive program. It has numbers of its own, so that a wrong one is noticed.

const PROGRAM = 0x6b656570;
const VERSION = 1;
const PING = 1;
const PONG = 2;

/** Whether it is a PONG, which needs no answer. */
export function isPong({ program, version, procedure, type }: Header): boolean {
  return program === PROGRAM && version === VERSION && procedure === PONG && type === MessageType.MESSAGE;
}

/** A PING frame. */
export function encodePing(): Uint8Array<ArrayBuffer> {
  const header = {
    program: PROGRAM,
    version: VERSION,
    procedure: PING,
    type: MessageType.MESSAGE,
    serial: 0,
    status: MessageStatus.OK,
  };
  return encodeFrame(header, new Uint8Array(0));
}
