import type { Peer, Procedure, Reply } from "../rpc/program.ts";
import { ErrorDomain, unsupportedFlags } from "../wire/rpc_error.ts";
import type { XdrReader } from "../wire/xdr_reader.ts";

/** The procedures of one file, by number. Their session is the peer. */
export type AdminProcedures = readonly (readonly [number, Procedure<Peer>])[];

/** A procedure that decodes its arguments first. The name is for logs and metrics. */
export function adminProcedure<A>(
  number: number,
  name: string,
  decode: (reader: XdrReader) => A,
  run: (args: A, reply: Reply) => void,
): readonly [number, Procedure<Peer>] {
  return [number, { name, run: (_peer, reader, reply) => run(decode(reader), reply) }];
}

/**
 * Refuses flags that are not known.
 *
 * @param where libvirt's own name for the function: it appears in the message
 * @throws RpcFailure (8, ADMIN)
 */
export function checkFlags(flags: number, known: number, where: string): void {
  const unknown = (flags & ~known) >>> 0;
  if (unknown !== 0) throw unsupportedFlags(ErrorDomain.ADMIN, unknown, where);
}
