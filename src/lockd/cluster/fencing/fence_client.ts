import { LineReader } from "../../../base/line_reader.ts";
import type { EventLoop, Timer } from "../../../chassis/event/event_loop.ts";
import { EPOLLIN, SOCK_STREAM } from "../../../os/constants.ts";
import { EAGAIN, ECONNREFUSED, ENOENT } from "../../../os/errno.ts";
import type { DescriptorLedger } from "../../../os/ledger.ts";
import type { FileSys, SocketSys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import { decodeText, encodeText } from "../../../os/text.ts";
import { FENCE_INSTALL, FENCE_LOG } from "../host/services.ts";
import {
  decodeFenceNews,
  encodeFenceLine,
  type FenceEnd,
  type FenceStage,
  type FenceTask,
  LONGEST_FENCE_LINE,
} from "./fence_messages.ts";

/**
 * How much longer than silence and program a process that fences may take, in ms: it gives the host time to
 * object, and has etcd take the program's word, however long that takes.
 */
const MARGIN_MS = 900_000;
const READ_SIZE = 4096;

/** What the daemon's end of a process that fences needs. */
export interface FenceClientParts {
  readonly sys: Pick<SocketSys, "socket" | "connect" | "send"> & Pick<FileSys, "read" | "close">;
  readonly loop: Pick<EventLoop, "add" | "remove" | "after" | "defer">;
  readonly ledger: Pick<DescriptorLedger, "own" | "close">;
  /** Where such a process is started for whoever connects. */
  readonly socket: string;
}

/** Who is told how far it is. */
export interface FenceListener {
  stage(stage: FenceStage): void;
  /** Called once, never before the constructor has returned, and not after {@link FenceClient.close}. */
  ended(end: FenceEnd): void;
}

/**
 * A process that fences one host, seen from the daemon: whatever becomes of it is an answer, and nobody waits
 * for it.
 */
export class FenceClient {
  readonly #parts: FenceClientParts;
  readonly #listener: FenceListener;
  readonly #lines = new LineReader(LONGEST_FENCE_LINE);
  readonly #buffer = new Uint8Array(READ_SIZE);
  #fd = -1;
  #timer: Timer | undefined;
  #over = false;

  constructor(parts: FenceClientParts, task: FenceTask, listener: FenceListener) {
    this.#parts = parts;
    this.#listener = listener;
    const failure = this.#begin(task);
    if (failure !== undefined) {
      parts.loop.defer(() => this.#end({ kind: "failed", reason: failure }));
      return;
    }
    this.#timer = parts.loop.after(task.silenceMs + task.limitMs + MARGIN_MS, () => {
      this.#end({ kind: "failed", reason: "the process that fences hangs" });
    });
  }

  /** The host is not to be fenced any more: nothing is told of that. A program that runs is not stopped. */
  close(): void {
    this.#over = true;
    this.#timer?.cancel();
    if (this.#fd < 0) return;
    this.#parts.loop.remove(this.#fd);
    this.#parts.ledger.close(this.#fd);
    this.#fd = -1;
  }

  /** @returns why it could not be begun */
  #begin(task: FenceTask): string | undefined {
    const { sys, loop, ledger, socket } = this.#parts;
    const fd = sys.socket(SOCK_STREAM, true);
    if (fd < 0) return new SystemError("socket", socket, fd).message;
    const connected = sys.connect(fd, socket);
    if (connected < 0) {
      sys.close(fd);
      const nobody = connected === -ENOENT || connected === -ECONNREFUSED;
      const advice = nobody ? `: nobody listens there; ${FENCE_INSTALL}` : "";
      return `${new SystemError("connect", socket, connected).message}${advice}`;
    }
    const bytes = encodeText(encodeFenceLine(task));
    // It is far smaller than the buffer of a socket, which is empty.
    const sent = sys.send(fd, bytes);
    if (sent !== bytes.length) {
      sys.close(fd);
      return sent < 0 ? new SystemError("send", socket, sent).message : `${socket} does not take the task`;
    }
    try {
      loop.add(fd, EPOLLIN, () => this.#readable());
    } catch (error) {
      sys.close(fd);
      if (!(error instanceof SystemError)) throw error;
      return error.message;
    }
    this.#fd = ledger.own(fd, "cluster");
    return undefined;
  }

  /** Reads once: of more the loop tells anew, when everybody else has had a turn. */
  #readable(): void {
    const length = this.#parts.sys.read(this.#fd, this.#buffer);
    if (length === -EAGAIN) return;
    if (length <= 0) {
      return this.#end({
        kind: "failed",
        reason: `the process that fences has ended before it was done: ${FENCE_LOG} says why`,
      });
    }
    this.#received(this.#buffer.slice(0, length));
  }

  #received(bytes: Uint8Array): void {
    const lines = this.#lines.read(bytes);
    if (lines === undefined) return this.#end(NO_MESSAGE);
    for (const line of lines) {
      const news = decodeFenceNews(decodeText(line, 0, line.length));
      if (news === undefined) return this.#end(NO_MESSAGE);
      if (news.kind !== "stage") return this.#end(news);
      this.#listener.stage(news.stage);
      if (this.#over) return;
    }
  }

  #end(end: FenceEnd): void {
    if (this.#over) return;
    this.close();
    this.#listener.ended(end);
  }
}

const NO_MESSAGE = { kind: "failed", reason: "the process that fences has sent what is no message" } as const;
