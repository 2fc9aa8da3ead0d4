import assert from "node:assert/strict";
import { F_DUPFD_CLOEXEC, F_WRLCK, O_CREAT, O_RDWR } from "../../src/os/constants.ts";
import { EAGAIN, ECONNRESET, ENOMEM, EPIPE } from "../../src/os/errno.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { ReceivedMessage, SpawnOptions, Sys } from "../../src/os/sys.ts";
import { must } from "../../src/os/system_error.ts";
import { encodeText } from "../../src/os/text.ts";
import { decodeFromHelper } from "../../src/lockd/storage/helper_decoding.ts";
import {
  encodeMessage,
  type FromHelper,
  type StorageLockRequest,
  type StorageResult,
  type StorageTask,
  type ToHelper,
} from "../../src/lockd/storage/helper_protocol.ts";
import { StorageHelper } from "../../src/lockd/storage/helper_process.ts";

/** What stands for the helper's end of the socket. */
export const HELPER_END = 1000;

/** What the daemon does at one end of the socket, step by step, while a helper runs at the other. */
type Step =
  | ToHelper
  /** A message with descriptors. */
  | { message: ToHelper; descriptors: readonly number[] }
  /** What need be no message. */
  | { bytes: string; descriptors: readonly number[] }
  /** Nothing has come when the helper looks without waiting. */
  | "nothing"
  /** The daemon went with a message unread. */
  | "reset"
  /** A message was lost. */
  | "broken"
  /** Something the test does meanwhile. */
  | (() => void);

/** The daemon's end of a helper's socket: plays steps, then closes. Files are the kernel's. */
export class HelperScript {
  readonly #steps: Step[];
  readonly sent: FromHelper[] = [];
  /** Copies of the descriptors that came with messages. */
  readonly granted: number[] = [];
  readonly spawned: SpawnOptions[] = [];
  readonly sys: Sys;
  /** Whether the daemon can still be reached. */
  reachable = true;

  constructor(steps: readonly Step[], faults: Partial<Sys> = {}) {
    this.#steps = [...steps];
    const real = linuxSys();
    this.sys = {
      ...real,
      receiveMessage: (_fd, into, wait) => this.#receive(into, wait),
      sendMessage: (fd, bytes, descriptors) => {
        if (fd !== HELPER_END && fd !== 3) return real.sendMessage(fd, bytes, descriptors);
        if (!this.reachable) return -EPIPE;
        this.sent.push(decodeFromHelper(bytes));
        for (const fd of descriptors) {
          this.granted.push(must(real.fcntl(fd, F_DUPFD_CLOEXEC, 0), "dup", "lock"));
        }
        return bytes.length;
      },
      spawn: (options) => {
        this.spawned.push(options);
        return 4711;
      },
      setThreadName: () => 0,
      blockSignals: () => 0,
      ignoreSignals: () => 0,
      ...faults,
    };
  }

  /** Runs a helper through all steps. @returns what it sent, without what came before the tasks */
  run(): readonly FromHelper[] {
    new StorageHelper(this.sys, HELPER_END).run();
    for (const fd of this.granted) linuxSys().close(fd);
    return this.sent;
  }

  #receive(into: Uint8Array, wait: boolean): ReceivedMessage | number {
    for (;;) {
      const step = this.#steps[0];
      if (step === "nothing") {
        this.#steps.shift();
        if (wait) continue;
        return -EAGAIN;
      }
      if (step === undefined) return { length: 0, descriptors: [] };
      this.#steps.shift();
      if (step === "reset") return -ECONNRESET;
      if (step === "broken") return -ENOMEM;
      if (typeof step === "function") {
        step();
        continue;
      }
      const bytes = "bytes" in step
        ? encodeText(step.bytes)
        : encodeMessage("message" in step ? step.message : step);
      const descriptors = "descriptors" in step ? step.descriptors : [];
      into.set(bytes);
      return { length: bytes.length, descriptors: [...descriptors] };
    }
  }
}

export function task(id: number, what: StorageTask): ToHelper {
  return { kind: "task", id, task: what };
}

export function lockTask(id: number, path: string, parts: Partial<StorageLockRequest> = {}): ToHelper {
  const request = { path, shared: false, autocreate: true, followLinks: false, ...parts };
  return task(id, { op: "lock", request });
}

export function unlockTask(
  id: number,
  path: string,
  parts: { shared?: boolean; autocreate?: boolean } = {},
): ToHelper {
  const request = { path, lock: "ofd" as const, shared: false, autocreate: true, force: false, ...parts };
  return task(id, { op: "unlock", request });
}

/** The one result that was sent. */
export function resultOf(sent: readonly FromHelper[]): StorageResult {
  assert.equal(sent.length, 1);
  const [message] = sent;
  if (message?.kind !== "result") throw new Error("The helper sent no result");
  return message.result;
}

/** A file that this test holds, as the daemon does. */
export function hold(path: string, type = F_WRLCK): number {
  const sys = linuxSys();
  const fd = must(sys.open(path, O_RDWR | O_CREAT, 0o600), "open", path);
  must(sys.ofdLock(fd, type, 0, 1), "lock", path);
  return fd;
}
