import { CountedExchange } from "../../chassis/rpc/counted_exchange.ts";
import type { Exchange } from "../../chassis/rpc/exchange.ts";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../chassis/rpc/plain_exchange.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { LockRecorder } from "../journal/lock_recorder.ts";

/**
 * The exchange of all clients: in the journal's memory where connections outlive the process, else in memory
 * that ends with it, which is faster.
 *
 * @throws StartError when there is no memory
 */
export function daemonExchange(sys: Sys, recorder: LockRecorder | undefined): Exchange {
  if (recorder?.log.keepsDescriptors === true) {
    const { memory, offset } = recorder.log.exchangeMemory;
    return new CountedExchange(sys, memory, offset);
  }
  const memory = sys.map(-1, PLAIN_EXCHANGE_SIZE);
  if (typeof memory === "number") {
    throw new StartError(ExitCode.INITIALISATION, new SystemError("mmap", "messages", memory).message);
  }
  return new PlainExchange(sys, memory);
}
