import type { Peer, Program, ProgramConnection, Reply } from "../../../../src/chassis/rpc/program.ts";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

/** A peer; parts may be replaced. */
export function peer(parts: Partial<Peer> = {}): Peer {
  return {
    clientId: 1,
    pid: 4242,
    uid: 1000,
    gid: 100,
    connectedAt: 1_795_266_578_207,
    security: "",
    pidfd: -1,
    ...parts,
  };
}

/** How a program answered a call. */
export type Answer =
  | { kind: "ok"; payload: Uint8Array; close: boolean }
  | { kind: "failed"; code: number; domain: number; message: string; str1: string; int1: number }
  | { kind: "unknown procedure" }
  | { kind: "no answer" };

/** Calls a procedure as the server does: what it throws is its answer. */
export function call(
  connection: ProgramConnection,
  procedure: number,
  encode: (writer: XdrWriter) => void = () => {},
  serial = 0,
): Answer {
  const request = new XdrWriter();
  encode(request);
  let answer: Answer = { kind: "no answer" };
  const reply: Reply = {
    serial,
    ok(encodeReply) {
      const writer = new XdrWriter();
      encodeReply?.(writer);
      answer = { kind: "ok", payload: writer.copy(), close: false };
    },
    okAndClose: () => answer = { kind: "ok", payload: new Uint8Array(0), close: true },
    fail: (failure) => answer = failed(failure),
  };
  try {
    const known = connection.call(procedure, new XdrReader(request.copy()), reply);
    return known ? answer : { kind: "unknown procedure" };
  } catch (error) {
    if (error instanceof RpcFailure) return failed(error);
    throw error;
  }
}

/** The payload of a call that has to succeed, decoded. */
export function result<T>(answer: Answer, decode: (reader: XdrReader) => T): T {
  if (answer.kind !== "ok") throw new Error(`Expected success, got ${JSON.stringify(answer)}`);
  return decode(new XdrReader(answer.payload));
}

/** Hexadecimal digits of a payload. */
export function hex(answer: Answer): string {
  return answer.kind === "ok" ? answer.payload.toHex() : JSON.stringify(answer);
}

/** A connection of a peer to a program. */
export function connected(program: Program, from: Peer = peer()): ProgramConnection {
  return program.connect(from);
}

function failed({ code, domain, message, str1, int1 }: RpcFailure): Answer {
  return { kind: "failed", code, domain, message, str1: str1 ?? "", int1 };
}
