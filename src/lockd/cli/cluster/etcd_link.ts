import { LineReader } from "../../../base/line_reader.ts";
import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import {
  type Answer,
  decodeFromLink,
  encodeLine,
  type Endpoints,
  type FromLink,
  LINK_PROTOCOL,
  LONGEST_LINE,
  type Question,
} from "../../../etcd/wire/link_messages.ts";
import { suits } from "../../../etcd/wire/suits.ts";
import { S_IFMT, S_IFSOCK, SIGKILL, SOCK_STREAM } from "../../../os/constants.ts";
import { EACCES, EAGAIN, ECONNREFUSED, ENOENT, EPERM } from "../../../os/errno.ts";
import { emptyStatus, type Sys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import { decodeText, encodeText } from "../../../os/text.ts";
import { LINK_INSTALL, LINK_LOG } from "../../cluster/host/services.ts";
import { LINK_SOCKET } from "../../cluster/cluster.ts";

/**
 * How long the link may take until it can be asked, in ms: a process is started. As long as the daemon waits
 * for its own, for what slows that one down slows this one down too.
 */
const START_MS = 30_000;
/** How much longer than the link itself its answer is waited for, in ms. */
const MARGIN_MS = 1000;
/**
 * How long a link may take to read one question, in ms. Most fit into the socket's buffer; one that compares
 * a record of a megabyte, as a stranger may have written it, does not.
 */
const READ_MS = 5000;
/** Pause before what the buffer had no room for is sent, in ms. */
const AGAIN_MS = 1;
const READ_SIZE = 64 * 1024;
const STANDARD_ERROR = 2;

/** What of the kernel a link needs. */
export type LinkSys = Pick<
  Sys,
  | "socket"
  | "connect"
  | "socketPair"
  | "send"
  | "read"
  | "close"
  | "stat"
  | "pollReadable"
  | "monotonic"
  | "spawn"
  | "kill"
  | "waitChild"
>;

/** How a link is reached. */
export interface LinkPlace {
  /** A socket that starts a link for whoever connects, or the link's program, which is started. */
  readonly path: string;
  /** `NAME=value`, for the program. */
  readonly env: readonly string[];
}

/**
 * A link with etcd for a command: what the daemon has too, but one that is waited for. Every method waits,
 * but never longer than its time limit. Disposing of it ends the process that was started.
 */
export class EtcdLink implements Disposable {
  readonly #sys: LinkSys;
  readonly #path: string;
  readonly #fd: number;
  /** Process that was started; undefined: the service manager has started it. */
  readonly #child: number | undefined;
  readonly #buffer = new Uint8Array(READ_SIZE);
  #lines: string[] = [];
  readonly #reader = new LineReader(LONGEST_LINE);
  #nextId = 1;
  /** Whether it has said that it can be asked. */
  #isReady = false;

  private constructor(sys: LinkSys, path: string, fd: number, child: number | undefined) {
    this.#sys = sys;
    this.#path = path;
    this.#fd = fd;
    this.#child = child;
  }

  /**
   * Has a link begin, and waits until it can be asked.
   *
   * @throws CommandError
   */
  static open(sys: LinkSys, { path, env }: LinkPlace, endpoints: Endpoints): EtcdLink {
    const status = emptyStatus();
    const found = sys.stat(path, status);
    if (found < 0) throw absent(path, found);
    const link = (status.mode & S_IFMT) === S_IFSOCK ? connected(sys, path) : started(sys, path, env);
    const opened = new EtcdLink(sys, path, link.fd, link.child);
    try {
      opened.#send({ kind: "open", protocol: LINK_PROTOCOL, endpoints });
      opened.#opened();
      return opened;
    } catch (error) {
      opened[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Asks once.
   *
   * @param limitMs after so many milliseconds without an answer the outcome is unknown
   * @throws CommandError when the link has ended or hangs: the outcome is unknown then, too
   */
  ask(question: Question, limitMs: number): Answer {
    const id = this.#nextId++;
    this.#send({ kind: "ask", id, limitMs, question });
    const until = this.#sys.monotonic() + limitMs + MARGIN_MS;
    for (;;) {
      const message = this.#message(until);
      // An answer that comes behind its time was taken for unknown.
      if (message.kind !== "answer" || message.id !== id) continue;
      if (suits(question, message.answer)) return message.answer;
      throw unreachable(
        `The link with etcd at ${this.#path} has answered another question than it was asked`,
      );
    }
  }

  /** Waits; nothing is read meanwhile. */
  pause(milliseconds: number): void {
    this.#sys.pollReadable(-1, milliseconds);
  }

  /** Monotonic milliseconds. */
  get now(): number {
    return this.#sys.monotonic();
  }

  [Symbol.dispose](): void {
    this.#sys.close(this.#fd);
    if (this.#child === undefined) return;
    // It keeps nothing, and would end by itself; but one that hangs must not hold up the command.
    this.#sys.kill(this.#child, SIGKILL);
    this.#sys.waitChild(this.#child, true, new Int32Array(1));
  }

  #opened(): void {
    const message = this.#message(this.#sys.monotonic() + START_MS);
    switch (message.kind) {
      case "opened":
        this.#isReady = true;
        if (message.protocol === LINK_PROTOCOL) return;
        throw unreachable(
          `The link with etcd at ${this.#path} speaks version ${message.protocol}, and this program ${LINK_PROTOCOL}`,
        );
      case "unusable":
        throw unreachable(`The link with etcd cannot work: ${message.reason}`);
      case "answer":
        throw unreachable(`The link with etcd at ${this.#path} answers before it was asked`);
    }
  }

  #message(until: number): FromLink {
    const line = this.#line(until);
    const message = decodeFromLink(line);
    if (message === undefined) throw unreachable(`What answers at ${this.#path} is no link with etcd`);
    if (message.kind === "unusable") {
      throw unreachable(`The link with etcd cannot work: ${message.reason}`);
    }
    return message;
  }

  #line(until: number): string {
    const sys = this.#sys;
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      // What came while the command was held up itself has come in time.
      const left = Math.max(0, Math.ceil(until - sys.monotonic()));
      if (sys.pollReadable(this.#fd, left) === 0) {
        throw this.#failed(
          this.#isReady ? "does not answer" : `was not ready within ${START_MS / 1000} s`,
          "how far it has come",
        );
      }
      const count = sys.read(this.#fd, this.#buffer);
      if (count === -EAGAIN) continue;
      if (count <= 0) {
        throw this.#failed(this.#isReady ? "has ended" : "has ended before it was ready", "why");
      }
      this.#received(this.#buffer.slice(0, count));
    }
  }

  /**
   * What is thrown for a process that does not do what it should.
   *
   * @param log what the log says of one that was not ready
   */
  #failed(how: string, log: string): CommandError {
    const said = this.#isReady || this.#child !== undefined ? "" : `: ${LINK_LOG} says ${log}`;
    return unreachable(`The link with etcd at ${this.#path} ${how}${said}`);
  }

  #received(bytes: Uint8Array): void {
    const lines = this.#reader.read(bytes);
    if (lines === undefined) {
      throw unreachable(
        `What answers at ${this.#path} is no link with etcd: a line is too long for a message`,
      );
    }
    for (const line of lines) this.#lines.push(decodeText(line, 0, line.length));
  }

  #send(message: Parameters<typeof encodeLine>[0]): void {
    const sys = this.#sys;
    const until = sys.monotonic() + READ_MS;
    let left = encodeText(encodeLine(message));
    for (;;) {
      const sent = sys.send(this.#fd, left);
      if (sent === left.length) return;
      if (sent < 0 && sent !== -EAGAIN) {
        throw this.#failed(this.#isReady ? "has ended" : "has ended before it was ready", "why");
      }
      if (sent > 0) left = left.subarray(sent);
      if (sys.monotonic() >= until) {
        throw this.#failed(
          `has not read what it is asked within ${READ_MS / 1000} s`,
          "how far it has come",
        );
      }
      this.pause(AGAIN_MS);
    }
  }
}

/** @param found what stat(2) says of a link's place */
function absent(path: string, found: number): CommandError {
  if (isDenied(found)) return denied(path);
  const { message } = new SystemError("stat", path, found);
  if (found !== -ENOENT) return unreachable(message);
  // Who names another cluster than this host's, or another place for the link, needs no socket.
  return path.endsWith(`/${LINK_SOCKET}`)
    ? unreachable(`${message}: ${NOBODY}`)
    : unreachable(`${message}: install deno-virtlockd-cluster, or name another place with --link`);
}

const NOBODY = `nobody listens there; ${LINK_INSTALL}`;

function isDenied(result: number): boolean {
  return result === -EACCES || result === -EPERM;
}

function denied(path: string): CommandError {
  return unreachable(`No permission to connect to ${path}: say it as root`);
}

function connected(sys: LinkSys, path: string): { fd: number; child: undefined } {
  const fd = sys.socket(SOCK_STREAM, true);
  if (fd < 0) throw unreachable(new SystemError("socket", path, fd).message);
  const result = sys.connect(fd, path);
  if (result === 0) return { fd, child: undefined };
  sys.close(fd);
  if (isDenied(result)) throw denied(path);
  const isNobody = result === -ENOENT || result === -ECONNREFUSED;
  const advice = isNobody ? NOBODY : "systemctl status virtlockd-cluster.socket says why";
  throw unreachable(`${new SystemError("connect", path, result).message}: ${advice}`);
}

function started(sys: LinkSys, path: string, env: readonly string[]): { fd: number; child: number } {
  const pair = sys.socketPair(SOCK_STREAM);
  if (typeof pair === "number") throw unreachable(new SystemError("socketpair", path, pair).message);
  const [fd, theirs] = pair;
  const child = sys.spawn({
    path,
    argv: [path],
    env,
    descriptors: [theirs, theirs, STANDARD_ERROR],
    blockedSignals: [],
    newSession: false,
  });
  sys.close(theirs);
  if (child > 0) return { fd, child };
  sys.close(fd);
  throw unreachable(new SystemError("start", path, child).message);
}

function unreachable(text: string): CommandError {
  return new CommandError(CommandExit.UNREACHABLE, text);
}
