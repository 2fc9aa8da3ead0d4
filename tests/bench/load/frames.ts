import { encodeFrame, MessageStatus, MessageType } from "../../../src/chassis/wire/frame.ts";
import {
  ACQUIRE_AUTOCREATE,
  LOCK_PROGRAM,
  LOCK_VERSION,
  LockProcedure,
} from "../../../src/lockd/wire/lock_protocol.ts";
import { encodeCreateLockspace, encodeRegister, encodeResource } from "../../support/lock_codec.ts";
import { XdrWriter } from "../../../src/chassis/wire/xdr_writer.ts";

/**
 * Pids of owners begin here. Linux gives no process such a number (PID_MAX_LIMIT is 4194304), so no daemon
 * can ever take a client for the holder itself and kill it.
 */
const OWNER_PID_BASE = 2_000_000_000;
const DIGITS = 8;

type Frame = Uint8Array<ArrayBuffer>;

function call(procedure: number, encode: (writer: XdrWriter) => void): Frame {
  const writer = new XdrWriter();
  encode(writer);
  const header = {
    program: LOCK_PROGRAM,
    version: LOCK_VERSION,
    procedure,
    type: MessageType.CALL,
    serial: 1,
    status: MessageStatus.OK,
  };
  return encodeFrame(header, writer.bytes);
}

/** REGISTER of owner number `index`. */
export function registerFrame(index: number): Frame {
  const owner = {
    uuid: `6c3e0a52-71f4-4d0b-9e55-${index.toString(16).padStart(12, "0")}`,
    name: `bench-${index}`,
    id: 1 + index,
    pid: OWNER_PID_BASE + index,
  };
  return call(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 }));
}

/** CREATE_LOCKSPACE. */
export function lockspaceFrame(path: string): Frame {
  return call(LockProcedure.CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path }));
}

/** ACQUIRE_RESOURCE with AUTOCREATE. */
export function acquireFrame(path: string, name: string): Frame {
  const args = { path, name, flags: ACQUIRE_AUTOCREATE };
  return call(LockProcedure.ACQUIRE_RESOURCE, (writer) => encodeResource(writer, args));
}

/** RELEASE_RESOURCE. */
export function releaseFrame(path: string, name: string): Frame {
  return call(LockProcedure.RELEASE_RESOURCE, (writer) => encodeResource(writer, { path, name, flags: 0 }));
}

/**
 * A frame on a resource whose name ends in a number that changes from call to call, written over in place.
 */
export class NumberedFrame {
  readonly bytes: Frame;
  readonly #digits: number;

  /** @param encode makes the frame for a lockspace and a name */
  constructor(encode: (path: string, name: string) => Frame, path: string) {
    this.bytes = encode(path, "guest-" + "0".repeat(DIGITS));
    // Behind the last digit come the name's padding, 2 bytes, and the flags, 4.
    this.#digits = this.bytes.length - 6 - DIGITS;
  }

  /** Writes the number and returns the frame, which is valid until the next call. */
  at(number: number): Frame {
    for (let left = number, digit = DIGITS - 1; digit >= 0; digit--) {
      this.bytes[this.#digits + digit] = 48 + left % 10;
      left = Math.floor(left / 10);
    }
    return this.bytes;
  }
}
