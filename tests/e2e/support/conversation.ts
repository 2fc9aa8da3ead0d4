import assert from "node:assert/strict";
import { encodeFrame, MessageStatus, MessageType } from "../../../src/chassis/wire/frame.ts";
import { KEEPALIVE_PROGRAM } from "../../../src/chassis/wire/keepalive.ts";
import { XdrWriter } from "../../../src/chassis/wire/xdr_writer.ts";
import { RpcClient } from "../../support/rpc_client.ts";

// A conversation is a table of requests with the reply that libvirt's own daemon gives to each, and, where
// this daemon is meant to answer otherwise, its reply and the reason.

/** An error reply. A pattern stands for a message with changing parts, such as a time; str2 follows it. */
export interface ErrorReply {
  kind: "error";
  code: number;
  domain: number;
  message: string | RegExp;
  str1: string;
  str2: string | RegExp;
  int1: number;
  int2: number;
}

/** What comes back. `silence` is nothing at all on a connection that is still served. */
export type Reply = { kind: "ok"; payload: string | RegExp } | ErrorReply | {
  kind: "pong" | "silence" | "closed";
};

/** What is sent: a message with the usual header but for some fields, or bytes as they are. */
export type Request = {
  program: number;
  procedure: number;
  payload: Uint8Array;
  version?: number;
  type?: number;
  serial?: number;
  status?: number;
} | { bytes: Uint8Array };

/** A request and its reply. */
export interface Step {
  says: string;
  /** Connection that sends it, made at first use; "first" when absent. */
  client?: string;
  request: Request;
  reply: Reply;
  ours?: { reply: Reply; reason: string };
}

/** A conversation with a fresh daemon. */
export interface Conversation {
  about: string;
  socket: string;
  /** Sockets of the clients that use another one, by their name. */
  sockets?: Readonly<Record<string, string>>;
  /** Shell script that makes the files that it is about, run before the daemon starts. */
  prepare?: string;
  steps: readonly Step[];
}

/**
 * Sends every request and compares every reply.
 *
 * @param outside where a path of the daemon's host is reached
 * @param side whose replies are wanted
 * @returns a line for each reply that is another one than the table's
 */
export async function differences(
  { socket, sockets = {}, steps }: Conversation,
  outside: (path: string) => string,
  side: "reference" | "ours",
): Promise<string[]> {
  const found: string[] = [];
  await using clients = new Clients((name) => outside(sockets[name] ?? socket));
  for (const step of steps) {
    const expected = side === "ours" && step.ours !== undefined ? step.ours.reply : step.reply;
    const actual = await ask(await clients.get(step.client ?? "first"), step.request, expected);
    const difference = compare(actual, expected);
    if (difference !== undefined) {
      found.push(`${step.says}: ${difference}`);
    }
  }
  return found;
}

class Clients implements AsyncDisposable {
  readonly #path: (name: string) => string;
  readonly #clients = new Map<string, RpcClient>();

  /** @param path where a client of this name connects */
  constructor(path: (name: string) => string) {
    this.#path = path;
  }

  async get(name: string): Promise<RpcClient> {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = await RpcClient.connect(this.#path(name));
      this.#clients.set(name, client);
    }
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#clients.values()].map((client) => client.close()));
  }
}

async function ask(client: RpcClient, request: Request, expected: Reply): Promise<Reply> {
  if ("bytes" in request) {
    client.send(request.bytes);
    return await listen(client, expected);
  }
  const { program, procedure, payload, ...header } = request;
  if (expected.kind !== "ok" && expected.kind !== "error") {
    const usual = { version: 1, type: MessageType.CALL, serial: 1_000, status: MessageStatus.OK };
    client.send(encodeFrame({ program, procedure, ...usual, ...header }, payload));
    return await listen(client, expected);
  }
  const result = await client.call(program, procedure, payload, header);
  if (result.kind === "ok") {
    return { kind: "ok", payload: result.payload.toHex() };
  }
  const { code, domain, message, str1 = "", str2 = "", int1, int2 } = result.failure;
  return { kind: "error", code, domain, message, str1, str2, int1, int2 };
}

async function listen(client: RpcClient, expected: Reply): Promise<Reply> {
  if (expected.kind === "closed") {
    await client.closed;
    return expected;
  }
  if (expected.kind === "silence") {
    await client.ping(); // fails when anything comes before the PONG
    return expected;
  }
  const { header, payload } = await client.nextMessage();
  const isPong = header.program === KEEPALIVE_PROGRAM && header.version === 1 && header.procedure === 2 &&
    header.type === MessageType.MESSAGE && header.serial === 0 && header.status === MessageStatus.OK &&
    payload.length === 0;
  return isPong ? { kind: "pong" } : { kind: "ok", payload: `${JSON.stringify(header)} ${payload.toHex()}` };
}

/** What tells two replies apart, or undefined when the actual one is as expected. */
function compare(actual: Reply, expected: Reply): string | undefined {
  const wanted = resolve(expected, actual);
  try {
    assert.deepEqual(actual, wanted);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof assert.AssertionError);
    return `got ${JSON.stringify(actual)}, want ${JSON.stringify(wanted)}`;
  }
}

/** The expected reply with each pattern that matches replaced by what it matches. */
function resolve(expected: Reply, actual: Reply): Reply {
  if (expected.kind === "ok" && actual.kind === "ok") {
    return { ...expected, payload: matched(expected.payload, actual.payload) };
  }
  if (expected.kind === "error" && actual.kind === "error") {
    const { message, str2 } = expected;
    return { ...expected, message: matched(message, actual.message), str2: matched(str2, actual.str2) };
  }
  return expected;
}

function matched(pattern: string | RegExp, value: string | RegExp): string {
  return pattern instanceof RegExp && typeof value === "string" && pattern.test(value)
    ? value
    : String(pattern);
}

/** Arguments in XDR. */
export function xdr(encode: (writer: XdrWriter) => void): Uint8Array {
  const writer = new XdrWriter();
  encode(writer);
  return writer.copy();
}

/** A success with this payload, in hexadecimal. */
export function ok(payload: string | RegExp = ""): Reply {
  return { kind: "ok", payload };
}

/** An error whose message is a prefix and a detail, as most are. */
export function failure(code: number, domain: number, prefix: string, detail: string | RegExp): ErrorReply {
  const whole = detail instanceof RegExp ? new RegExp(`^${prefix}${detail.source}$`) : prefix + detail;
  const rest = detail instanceof RegExp ? new RegExp(`^${detail.source}$`) : detail;
  return { kind: "error", code, domain, message: whole, str1: `${prefix}%s`, str2: rest, int1: -1, int2: -1 };
}

/** RPC, which has no prefix. */
export function rpc(message: string): ErrorReply {
  return failure(39, 7, "", message);
}

/** INTERNAL_ERROR. */
export function internal(domain: number, detail: string | RegExp): ErrorReply {
  return failure(1, domain, "internal error: ", detail);
}

/** INVALID_ARG. */
export function invalid(domain: number, detail: string): ErrorReply {
  return failure(8, domain, "invalid argument: ", detail);
}

/** OPERATION_INVALID of the RPC layer. */
export function notValid(detail: string): ErrorReply {
  return failure(55, 7, "Requested operation is not valid: ", detail);
}

/** RESOURCE_BUSY of the lockspace. */
export function busy(detail: string | RegExp): ErrorReply {
  return failure(87, 51, "resource busy: ", detail);
}

/** SYSTEM_ERROR. */
export function system(domain: number, message: string, errno: number): ErrorReply {
  return { ...failure(38, domain, "", message), int1: errno };
}

/** INVALID_ARG for flags that a procedure does not know. */
export function unknownFlags(domain: number, flags: string, where: string): ErrorReply {
  const message = `unsupported flags (${flags}) in function ${where}`;
  return { kind: "error", code: 8, domain, message, str1: where, str2: "flags", int1: 0, int2: 0 };
}

/** Nothing comes back, and the connection is still served. */
export const silence: Reply = { kind: "silence" };

/** The daemon ends the connection without a reply. */
export const closed: Reply = { kind: "closed" };

/** A keepalive PONG. */
export const pong: Reply = { kind: "pong" };
