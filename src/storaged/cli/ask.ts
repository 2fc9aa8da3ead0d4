import type { Arguments, OptionSpec } from "../../chassis/cli/arguments.ts";
import { type CommandContext, CommandError, CommandExit } from "../../chassis/cli/command.ts";
import { ConfigError } from "../../chassis/config/config_error.ts";
import { defaultPaths } from "../../chassis/config/paths.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import {
  emptyHeader,
  encodeFrame,
  FRAME_MIN,
  frameLength,
  MessageStatus,
  readHeader,
} from "../../chassis/wire/frame.ts";
import { decodeRpcFailure } from "../../chassis/wire/rpc_error.ts";
import { XdrError, XdrReader, XdrWriter } from "../../chassis/wire/xdr.ts";
import { SOCK_STREAM } from "../../os/constants.ts";
import { EACCES, ECONNREFUSED, ENOENT, EPERM, strerror } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { DOCUMENT_MAX, encodeStatusArgs, STATUS_PROGRAM, STATUS_VERSION } from "../wire/status_protocol.ts";

/** How long the daemon may take to answer, in ms. */
const ANSWER_MS = 5000;

/** Which daemon to ask. */
export const CONNECT_OPTION: OptionSpec = {
  name: "connect",
  short: "c",
  value: "SOCKET",
  summary: "ask the daemon with this admin socket",
};

/** For programs. */
export const JSON_OPTION: OptionSpec = { name: "json", summary: "print JSON" };

/**
 * Asks the daemon that was named, or this user's, for a document.
 *
 * @param job the job that is meant; 0 where none is
 * @throws UsageError, CommandError when there is no daemon, no permission, no answer or a refusal
 */
export function ask(context: CommandContext, args: Arguments, procedure: number, job = 0): unknown {
  const path = args.value(CONNECT_OPTION.name) ?? adminSocket(context);
  const { sys } = context;
  const fd = sys.socket(SOCK_STREAM, false);
  if (fd < 0) throw unreachable(`Create a socket: ${strerror(-fd)}`);
  try {
    const connected = sys.connect(fd, path);
    if (connected < 0) throw unreachable(connectError(path, connected));
    return JSON.parse(exchange(sys, fd, path, procedure, job));
  } finally {
    sys.close(fd);
  }
}

function adminSocket({ sys, env }: CommandContext): string {
  try {
    return defaultPaths(VIRTSTORAGED, { uid: sys.uid(), env, exists: () => false }).adminSocket;
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`Find the daemon's files: ${error.message}`);
    throw error;
  }
}

function unreachable(message: string): CommandError {
  return new CommandError(CommandExit.UNREACHABLE, message);
}

function connectError(path: string, result: number): string {
  if (result === -ENOENT || result === -ECONNREFUSED) {
    return `No daemon is running: nobody listens at ${path}`;
  }
  if (result === -EACCES || result === -EPERM) return `No permission to connect to ${path}`;
  return `Connect to ${path}: ${strerror(-result)}`;
}

/** Sends the question and takes the answer. */
function exchange(sys: Sys, fd: number, path: string, procedure: number, job: number): string {
  const writer = new XdrWriter();
  encodeStatusArgs(writer, { flags: 0, job });
  const header = { ...emptyHeader(), program: STATUS_PROGRAM, version: STATUS_VERSION, procedure, serial: 1 };
  sys.send(fd, encodeFrame(header, writer.bytes));
  const frame = receive(sys, fd, path);
  readHeader(frame, 0, header);
  const reader = new XdrReader(frame, FRAME_MIN);
  try {
    if (header.status === MessageStatus.OK) return reader.string(DOCUMENT_MAX);
    throw new CommandError(CommandExit.PROBLEM, decodeRpcFailure(reader).message);
  } catch (error) {
    if (!(error instanceof XdrError)) throw error;
    throw unreachable(`What listens at ${path} answered what cannot be read: ${error.message}`);
  }
}

/** The answer, whole. */
function receive(sys: Sys, fd: number, path: string): Uint8Array {
  const end = sys.monotonic() + ANSWER_MS;
  let bytes = new Uint8Array(65536);
  for (let length = 0;;) {
    const total = frameLength(bytes, 0, length);
    if (total < 0 || total > DOCUMENT_MAX) {
      throw unreachable(`What listens at ${path} is no ${VIRTSTORAGED.name}`);
    }
    if (total > 0 && length >= total) return bytes.subarray(0, total);
    if (total > bytes.length) bytes = new Uint8Array(bytes.buffer.transfer(total));
    const left = Math.ceil(end - sys.monotonic());
    if (left <= 0 || sys.pollReadable(fd, left) === 0) {
      throw unreachable(`The daemon at ${path} did not answer within ${ANSWER_MS / 1000} s`);
    }
    const count = sys.read(fd, bytes.subarray(length));
    if (count <= 0) throw unreachable(`The daemon at ${path} closed the connection`);
    length += count;
  }
}
