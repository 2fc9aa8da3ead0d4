import type { MemorySys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";

/** Bytes one receive can bring: a packet of a stream. */
const SIZE = 1 << 18;

/** The memory into which all clients are received, one at a time. */
export interface ReceiveBuffer {
  /** Valid until the next receive. */
  readonly bytes: Uint8Array;
  readonly pointer: Deno.PointerValue;
}

/** @throws SystemError when there is no memory */
export function receiveBuffer(sys: MemorySys): ReceiveBuffer {
  const memory = sys.map(-1, SIZE);
  if (typeof memory === "number") throw new SystemError("mmap", "messages", memory);
  return { bytes: memory.bytes, pointer: memory.pointer(0) };
}
