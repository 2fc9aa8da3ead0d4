import { NOT_NOW } from "../../os/not_now.ts";
import { finishFrame, FRAME_MIN, type Header, writeHeader } from "../wire/frame.ts";
import { XdrWriter } from "../wire/xdr_writer.ts";
import { type Exchange, OUTPUT_SIZE } from "./exchange.ts";

/**
 * The bytes of a reply. Without a payload they are a view of the exchange's output, where no copy has to be
 * made of them to send them: valid until the exchange serves another client.
 *
 * @throws XdrError, RangeError when the payload is too long
 */
export function replyBytes(
  exchange: Exchange,
  header: Readonly<Header>,
  encode: ((writer: XdrWriter) => void) | undefined,
): Uint8Array {
  if (encode === undefined) {
    writeHeader(exchange.output, 0, header, 0);
    return exchange.output.subarray(0, FRAME_MIN);
  }
  const writer = new XdrWriter();
  const start = writer.reserve(FRAME_MIN);
  encode(writer);
  finishFrame(writer, start, header);
  return writer.bytes;
}

/**
 * Sends as much of a reply that was begun as the kernel takes, and finishes it if that is all.
 *
 * @returns how many bytes were sent, or -errno when the connection is of no use any more
 */
export function sendReply(exchange: Exchange, fd: number, bytes: Uint8Array): number {
  const inPlace = bytes.buffer === exchange.output.buffer;
  let sent = 0;
  while (sent < bytes.length) {
    const chunk = Math.min(OUTPUT_SIZE, bytes.length - sent);
    if (!inPlace) exchange.output.set(bytes.subarray(sent, sent + chunk));
    const taken = exchange.send(fd, chunk);
    if (NOT_NOW.includes(taken)) return sent;
    if (taken < 0) return taken;
    sent += taken;
    if (taken < chunk && inPlace) return sent;
  }
  exchange.finishReply();
  return sent;
}
