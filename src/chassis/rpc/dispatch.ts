import { MessageStatus } from "../wire/frame.ts";
import { ErrorDomain, rpcError, RpcFailure } from "../wire/rpc_error.ts";
import { XdrError } from "../wire/xdr_error.ts";
import type { XdrReader } from "../wire/xdr_reader.ts";
import type { PendingReply } from "./pending_reply.ts";
import type { ProgramConnection } from "./program.ts";

/**
 * Runs the procedure that a call names, or refuses the call.
 *
 * @param program undefined when the server does not offer it
 * @param args the call's payload
 * @returns undefined, or what was thrown that is no refusal: then the reply may have been given or not
 */
export function dispatch(
  program: ProgramConnection | undefined,
  args: XdrReader,
  reply: PendingReply,
): { readonly error: unknown } | undefined {
  try {
    call(program, args, reply);
    return undefined;
  } catch (error) {
    if (reply.given) return { error };
    const refusal = refusalOf(error);
    if (refusal === undefined) return { error };
    reply.fail(refusal);
    return undefined;
  }
}

function call(program: ProgramConnection | undefined, args: XdrReader, reply: PendingReply): void {
  const { header } = reply;
  if (program === undefined) {
    const { program: number, version } = header;
    return reply.fail(rpcError(ErrorDomain.RPC, `Cannot find program ${number} version ${version}`));
  }
  if (header.status !== MessageStatus.OK) {
    return reply.fail(rpcError(ErrorDomain.RPC, `Unexpected message status ${header.status}`));
  }
  if (!program.call(header.procedure, args, reply)) {
    reply.fail(rpcError(ErrorDomain.RPC, `unknown procedure: ${header.procedure}`));
  }
}

/** What a client is told of an error; undefined for one that nobody has foreseen. */
function refusalOf(error: unknown): RpcFailure | undefined {
  if (error instanceof RpcFailure) return error;
  return error instanceof XdrError
    ? rpcError(ErrorDomain.RPC, "Unable to decode message payload")
    : undefined;
}

/** What a client is told of an error that nobody has foreseen. */
export function unexpected(): RpcFailure {
  return rpcError(ErrorDomain.RPC, "The request failed unexpectedly; see the daemon's log");
}

/** What the log says of an error that nobody has foreseen. */
export function crashText(clientId: number, error: unknown): string {
  const trace = error instanceof Error ? error.stack ?? error.message : String(error);
  return `Serving client ${clientId} failed unexpectedly, which is a fault of this program: ${trace}`;
}
