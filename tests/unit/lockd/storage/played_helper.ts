import { F_DUPFD_CLOEXEC } from "../../../../src/os/constants.ts";
import { EAGAIN } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { decodeToHelper } from "../../../../src/lockd/storage/helper_decoding.ts";
import {
  encodeMessage,
  type FromHelper,
  type StorageResult,
  type ToHelper,
} from "../../../../src/lockd/storage/helper_protocol.ts";

/** One message that a client sent to its helper. */
export interface Asked {
  readonly message: ToHelper;
  /** The test's to close. */
  readonly descriptors: readonly number[];
}

/** A starter whose helpers are played by the test. */
export class PlayedHelpers {
  readonly #sys: Sys;
  /** The far ends of the links, newest last. */
  readonly helpers: PlayedHelper[] = [];
  pinned = false;
  /** When set, no helper can be started. */
  failure: SystemError | undefined;

  constructor(sys: Sys) {
    this.#sys = sys;
  }

  start(far: number): void {
    if (this.failure !== undefined) throw this.failure;
    const copy = this.#sys.fcntl(far, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) throw new SystemError("fcntl", "helper's socket", copy);
    this.helpers.push(new PlayedHelper(this.#sys, copy));
  }

  pin(): void {
    this.pinned = true;
  }

  /** The newest helper. */
  get helper(): PlayedHelper {
    const helper = this.helpers.at(-1);
    if (helper === undefined) throw new Error("No helper was started");
    return helper;
  }

  /** Ends all that were not ended. */
  close(): void {
    for (const helper of this.helpers) helper.end();
  }
}

/** The helper's end of a link. */
export class PlayedHelper {
  readonly #sys: Sys;
  readonly #fd: number;
  #open = true;

  constructor(sys: Sys, fd: number) {
    this.#sys = sys;
    this.#fd = fd;
  }

  /** What the client has sent by now, oldest first; "end" when it closed its end. */
  read(): (Asked | "end")[] {
    const all: (Asked | "end")[] = [];
    const bytes = new Uint8Array(65536);
    for (;;) {
      const received = this.#sys.receiveMessage(this.#fd, bytes, false);
      if (received === -EAGAIN) return all;
      if (typeof received === "number") throw new SystemError("recvmsg", "played helper", received);
      if (received.length === 0) return [...all, "end"];
      all.push({
        message: decodeToHelper(bytes.subarray(0, received.length)),
        descriptors: received.descriptors,
      });
    }
  }

  /** Messages in short: `lock 1`, `settled 1`; their descriptors are closed. */
  readShort(): string[] {
    return this.read().map((asked) => {
      if (asked === "end") return asked;
      for (const fd of asked.descriptors) this.#sys.close(fd);
      const { message } = asked;
      if (message.kind === "spawn") return "spawn";
      if (message.kind === "become") return `become ${message.ids.uid}:${message.ids.gid}`;
      return `${message.kind === "task" ? message.task.op : message.kind} ${message.id}`;
    });
  }

  send(message: FromHelper, descriptors: readonly number[] = []): void {
    this.sendBytes(encodeMessage(message), descriptors);
  }

  /** Sends what need be no message. */
  sendBytes(bytes: Uint8Array, descriptors: readonly number[] = []): void {
    const result = this.#sys.sendMessage(this.#fd, bytes, descriptors);
    if (result < 0) throw new SystemError("sendmsg", "played helper", result);
  }

  answer(id: number, result: StorageResult, descriptors: readonly number[] = []): void {
    this.send({ kind: "result", id, result }, descriptors);
  }

  /** The helper's process is gone. */
  end(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#sys.close(this.#fd);
  }
}
