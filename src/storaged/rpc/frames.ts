import {
  encodeFrame,
  finishFrame,
  FRAME_MIN,
  type Header,
  MessageStatus,
  MessageType,
  writeHeader,
} from "../../chassis/wire/frame.ts";
import { KEEPALIVE_PROGRAM, KEEPALIVE_VERSION, KeepaliveProcedure } from "../../chassis/wire/keepalive.ts";
import { encodeRpcFailure, type RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { XdrWriter } from "../../chassis/wire/xdr_writer.ts";

/** Most bytes of a volume in one packet of a stream. */
export const STREAM_PAYLOAD = 262120;
const NOTHING = new Uint8Array(0);

/** A whole message in bytes of its own. @throws XdrError, RangeError when the payload is too long */
export function frameOf(
  header: Readonly<Header>,
  encode: ((writer: XdrWriter) => void) | undefined,
): Uint8Array {
  if (encode === undefined) return encodeFrame(header, NOTHING);
  const writer = new XdrWriter();
  const start = writer.reserve(FRAME_MIN);
  encode(writer);
  finishFrame(writer, start, header);
  return writer.bytes;
}

/** A message that answers nothing. @throws XdrError, RangeError as {@link frameOf} */
export function messageFrame(
  program: number,
  procedure: number,
  encode: (writer: XdrWriter) => void,
): Uint8Array {
  const header = { program, version: 1, procedure, serial: 1, status: MessageStatus.OK };
  return frameOf({ ...header, type: MessageType.MESSAGE }, encode);
}

/** Of a stream, which goes by program, procedure and serial of the call that began it. */
function streamHeader(call: Readonly<Header>, status: number): Header {
  return { ...call, type: MessageType.STREAM, status };
}

/** The stream has ended well. */
export function streamEnd(call: Readonly<Header>): Uint8Array {
  return encodeFrame(streamHeader(call, MessageStatus.OK), NOTHING);
}

/** The stream has failed. */
export function streamFailure(call: Readonly<Header>, failure: RpcFailure): Uint8Array {
  return frameOf(streamHeader(call, MessageStatus.ERROR), (writer) => encodeRpcFailure(writer, failure));
}

/** Behind the last byte of a volume there is a packet without any. */
export function streamEof(call: Readonly<Header>): Uint8Array {
  return encodeFrame(streamHeader(call, MessageStatus.CONTINUE), NOTHING);
}

/** So many bytes that are zero and are not sent. */
export function streamHole(call: Readonly<Header>, length: bigint): Uint8Array {
  const header = { ...call, type: MessageType.STREAM_HOLE, status: MessageStatus.CONTINUE };
  return frameOf(header, (writer) => {
    writer.i64(length);
    writer.u32(0);
  });
}

/**
 * Puts the header of a packet before its bytes, which begin at FRAME_MIN.
 *
 * @returns the packet, a view of the buffer
 */
export function streamPacket(call: Readonly<Header>, buffer: Uint8Array, length: number): Uint8Array {
  writeHeader(buffer, 0, streamHeader(call, MessageStatus.CONTINUE), length);
  return buffer.subarray(0, FRAME_MIN + length);
}

/** Asks a client whether it is still there. */
export const PING_FRAME: Uint8Array = keepaliveFrame(KeepaliveProcedure.PING);
/** Tells a client that the daemon is still there. */
export const PONG_FRAME: Uint8Array = keepaliveFrame(KeepaliveProcedure.PONG);

function keepaliveFrame(procedure: number): Uint8Array {
  const header = { program: KEEPALIVE_PROGRAM, version: KEEPALIVE_VERSION, procedure };
  return encodeFrame({ ...header, type: MessageType.MESSAGE, serial: 0, status: MessageStatus.OK }, NOTHING);
}
