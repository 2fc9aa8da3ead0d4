import type { RpcFailure } from "../wire/rpc_error.ts";
import type { XdrReader } from "../wire/xdr_reader.ts";
import type { XdrWriter } from "../wire/xdr_writer.ts";

/** The process at the other end of a connection, as the kernel knows it. */
export interface Peer {
  /** Connection id, unique within its server; libvirt calls it the client id. */
  readonly clientId: number;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Unix milliseconds. */
  readonly connectedAt: number;
  /** SELinux or other security context, "" without one. */
  readonly security: string;
  /**
   * The pidfd taken at accept. Open until the connection has ended; -1 when the process was gone already at
   * accept.
   */
  readonly pidfd: number;
}

/** How a procedure answers: exactly once, at once or later. */
export interface Reply {
  /** The caller's number of the request. */
  readonly serial: number;
  /** Success; `encode` writes the payload, if any. */
  ok(encode?: (writer: XdrWriter) => void): void;
  fail(failure: RpcFailure): void;
  /** Success, and the connection is closed once the reply is written. */
  okAndClose(): void;
}

/** One procedure of a program. Throws XdrError for arguments that do not decode, RpcFailure to refuse. */
export interface Procedure<S> {
  readonly name: string;
  run(session: S, args: XdrReader, reply: Reply): void;
}

/** What a program does, independent of sockets: a table of procedures over a session per connection. */
export interface ProgramTable<S> {
  readonly name: string;
  readonly number: number;
  readonly version: number;
  /** Most payload bytes any procedure can need; longer payloads are read but only this much is kept. */
  readonly maxPayload: number;
  readonly procedures: ReadonlyMap<number, Procedure<S>>;
  connect(peer: Peer): S;
  /** The connection has ended, whoever ended it. Called once. */
  disconnect(session: S): void;
}

/** A program as a server sees it: session types are hidden. */
export interface Program {
  readonly name: string;
  readonly number: number;
  readonly version: number;
  readonly maxPayload: number;
  readonly procedureNames: ReadonlyMap<number, string>;
  connect(peer: Peer): ProgramConnection;
}

/** One connection's use of one program. */
export interface ProgramConnection {
  /** The session, for those who know its type. */
  readonly session: unknown;
  /** Runs a procedure; false when there is none of that number. */
  call(procedure: number, args: XdrReader, reply: Reply): boolean;
  disconnect(): void;
}

/** Hides a table's session type. */
export function asProgram<S>(table: ProgramTable<S>): Program {
  return {
    name: table.name,
    number: table.number,
    version: table.version,
    maxPayload: table.maxPayload,
    procedureNames: new Map([...table.procedures].map(([number, procedure]) => [number, procedure.name])),
    connect(peer) {
      const session = table.connect(peer);
      return {
        session,
        call(number, args, reply) {
          const procedure = table.procedures.get(number);
          if (procedure === undefined) return false;
          procedure.run(session, args, reply);
          return true;
        },
        disconnect: () => table.disconnect(session),
      };
    },
  };
}
