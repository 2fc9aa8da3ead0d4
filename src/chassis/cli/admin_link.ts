import { parseJson, type Shape, ShapeError } from "../../base/shape.ts";
import { SOCK_STREAM } from "../../os/constants.ts";
import { EACCES, EAGAIN, ECONNREFUSED, ENOENT, EPERM, strerror } from "../../os/errno.ts";
import type { EventSys, FileSys, ProcessSys, SocketSys } from "../../os/sys.ts";
import {
  emptyHeader,
  encodeFrame,
  FRAME_MIN,
  frameLength,
  MessageStatus,
  readHeader,
} from "../wire/frame.ts";
import { decodeRpcFailure, ErrorCode } from "../wire/rpc_error.ts";
import { XdrError } from "../wire/xdr_error.ts";
import { XdrReader } from "../wire/xdr_reader.ts";
import { XdrWriter } from "../wire/xdr_writer.ts";
import { CommandError, CommandExit } from "./command.ts";

/** How long a daemon may take to accept, or to answer one question, in ms. */
const ANSWER_TIMEOUT = 5000;
/** Between two tries to connect to a daemon that has a full backlog, in ms. */
const CONNECT_PAUSE = 20;
const FIRST_CAPACITY = 65536;
/** How libvirt's errors begin that say no more than that something was refused. */
const CLASS = /^(?:operation forbidden|invalid argument): /;

/** What of the kernel a link needs. */
export type LinkSys =
  & Pick<SocketSys, "socket" | "connect" | "send" | "peerCredentials">
  & Pick<FileSys, "read" | "close">
  & Pick<EventSys, "pollReadable" | "monotonic">
  & Pick<ProcessSys, "uid">;

/** A procedure of a program that a daemon has of its own on its admin socket. */
export interface AskedProcedure {
  readonly program: number;
  readonly version: number;
  readonly procedure: number;
}

/** The daemon does not speak the program that is asked: it is libvirt's own. */
export class ForeignDaemonError extends CommandError {}

/** The daemon understands what it is asked for, and refuses. The message is its own. */
export class RefusedError extends CommandError {}

/** Why a daemon cannot be asked. */
export type Obstacle =
  /** Nobody listens. */
  | "absent"
  /** Somebody listens, but does not accept or answer in time. */
  | "silent"
  /** The connection was closed. */
  | "closed"
  /** It serves another user. */
  | "denied"
  /** It answered something else than was asked. */
  | "odd";

/** There is no daemon, no permission or no answer. */
export class UnreachableError extends CommandError {
  readonly obstacle: Obstacle;

  constructor(obstacle: Obstacle, message: string) {
    super(CommandExit.UNREACHABLE, message);
    this.obstacle = obstacle;
  }
}

/**
 * A connection to a daemon's admin socket, to ask a program of the daemon's own. Every method waits, but
 * never longer than its time limit.
 *
 * All methods throw UnreachableError when there is no daemon, no permission or no answer, and
 * ForeignDaemonError when it is libvirt's own.
 */
export class AdminLink implements Disposable {
  readonly #sys: LinkSys;
  readonly #name: string;
  readonly #path: string;
  readonly #fd: number;
  readonly #timeout: number;
  #serial = 0;
  #input = new Uint8Array(FIRST_CAPACITY);
  #length = 0;

  private constructor(sys: LinkSys, name: string, path: string, fd: number, timeout: number) {
    this.#sys = sys;
    this.#name = name;
    this.#path = path;
    this.#fd = fd;
    this.#timeout = timeout;
  }

  /**
   * Connects to an admin socket.
   *
   * @param name the daemon's, for messages
   * @param timeout for the connection and for each answer, in ms
   * @throws CommandError
   */
  static connect(sys: LinkSys, name: string, path: string, timeout: number = ANSWER_TIMEOUT): AdminLink {
    const fd = sys.socket(SOCK_STREAM, true);
    if (fd < 0) throw new UnreachableError("odd", `Create a socket: ${reason(fd)}`);
    const end = sys.monotonic() + timeout;
    for (;;) {
      const result = sys.connect(fd, path);
      if (result === 0) return new AdminLink(sys, name, path, fd, timeout);
      if (result === -EAGAIN && sys.monotonic() < end) {
        sys.pollReadable(-1, CONNECT_PAUSE);
        continue;
      }
      sys.close(fd);
      throw connectError(path, result, timeout);
    }
  }

  /**
   * Asks a procedure.
   *
   * @throws RefusedError when the daemon will not
   */
  ask<T>(
    asked: AskedProcedure,
    encode: (writer: XdrWriter) => void,
    decode: (reader: XdrReader) => T,
  ): T {
    const writer = new XdrWriter();
    encode(writer);
    const request = encodeFrame({ ...emptyHeader(), ...asked, serial: ++this.#serial }, writer.bytes);
    const sent = this.#sys.send(this.#fd, request);
    // A request is far smaller than a socket's buffer, which is empty: whatever is not sent is lost.
    if (sent !== request.length) throw sent < 0 ? this.#ended() : this.#silent();
    const frame = this.#receive();
    const header = emptyHeader();
    readHeader(frame, 0, header);
    const reader = new XdrReader(frame, FRAME_MIN);
    try {
      if (header.status === MessageStatus.OK) return decode(reader);
      const failure = decodeRpcFailure(reader);
      if (failure.code === ErrorCode.RPC && failure.message.startsWith("Cannot find program")) {
        throw new ForeignDaemonError(
          CommandExit.UNREACHABLE,
          `What listens at ${this.#path} cannot be asked this: it is libvirt's own ${this.#name}, or not an admin socket`,
        );
      }
      throw new RefusedError(CommandExit.PROBLEM, failure.message.replace(CLASS, ""));
    } catch (error) {
      if (!(error instanceof XdrError)) throw error;
      throw this.#odd(error);
    }
  }

  /**
   * What an answer is that came as JSON.
   *
   * @throws UnreachableError when it is of another shape
   */
  read<T>(json: string, shape: Shape<T>): T {
    try {
      return parseJson(json, shape);
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error;
      throw this.#odd(error);
    }
  }

  [Symbol.dispose](): void {
    this.#sys.close(this.#fd);
  }

  /** The next whole frame; nothing else is expected on this connection. */
  #receive(): Uint8Array {
    const end = this.#sys.monotonic() + this.#timeout;
    this.#length = 0;
    for (;;) {
      const total = frameLength(this.#input, 0, this.#length);
      if (total < 0) throw new UnreachableError("odd", `What listens at ${this.#path} is no ${this.#name}`);
      if (total > 0 && this.#length >= total) return this.#input.subarray(0, total);
      if (this.#length === this.#input.length || total > this.#input.length) {
        const larger = new Uint8Array(Math.max(total, this.#input.length * 2));
        larger.set(this.#input);
        this.#input = larger;
      }
      const left = end - this.#sys.monotonic();
      if (left <= 0 || this.#sys.pollReadable(this.#fd, Math.ceil(left)) === 0) throw this.#silent();
      const count = this.#sys.read(this.#fd, this.#input.subarray(this.#length));
      if (count === -EAGAIN) continue;
      if (count <= 0) throw this.#ended();
      this.#length += count;
    }
  }

  #odd({ message }: Error): CommandError {
    return new UnreachableError(
      "odd",
      `The daemon at ${this.#path} answered what cannot be read: ${message}`,
    );
  }

  #silent(): CommandError {
    return new UnreachableError(
      "silent",
      `The daemon at ${this.#path} did not answer within ${this.#timeout / 1000} s`,
    );
  }

  /** The daemon closes the connections of other users without a word. */
  #ended(): CommandError {
    const daemon = { pid: 0, uid: 0, gid: 0 };
    const known = this.#sys.peerCredentials(this.#fd, daemon) === 0;
    if (known && daemon.uid !== this.#sys.uid()) {
      return new UnreachableError(
        "denied",
        `No permission: the daemon at ${this.#path} serves user ${daemon.uid} only, this is user ${this.#sys.uid()}`,
      );
    }
    return new UnreachableError("closed", `The daemon at ${this.#path} closed the connection`);
  }
}

function connectError(path: string, result: number, timeout: number): CommandError {
  switch (result) {
    case -ENOENT:
    case -ECONNREFUSED:
      return new UnreachableError("absent", `No daemon is running: nobody listens at ${path}`);
    case -EACCES:
    case -EPERM:
      return new UnreachableError("denied", `No permission to connect to ${path}`);
    case -EAGAIN:
      return new UnreachableError(
        "silent",
        `The daemon at ${path} accepted no connection within ${timeout / 1000} s`,
      );
    default:
      return new UnreachableError("odd", `Connect to ${path}: ${reason(result)}`);
  }
}

function reason(result: number): string {
  return strerror(-result);
}
