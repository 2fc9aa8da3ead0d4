import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { writeStamp } from "../../../../src/chassis/journal/journal_stamp.ts";
import type { JournalSources } from "../../../../src/lockd/crash/opened_journal.ts";
import { createLog } from "../../../../src/lockd/journal/lock_format.ts";
import type { JsonValue, KeptDescriptor, RestartState } from "../../../../src/lockd/restart/state.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import { ENOENT, ESRCH } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";
import { KeptLog } from "../journal/kept_log.ts";

/** Ids of this boot and of another one, as the kernel writes them. */
export const THIS_BOOT = "01234567-89ab-cdef-0123-456789abcdef";
export const OTHER_BOOT = "fedcba98-7654-3210-fedc-ba9876543210";

/**
 * Journals in memory and in a directory of the test, and a kernel whose processes, boot and time are the
 * test's. What is open at the end is closed.
 */
export class JournalStage implements Disposable {
  readonly scratch = new Scratch();
  readonly log = new KeptLog();
  /** Start times of living processes by pid. */
  readonly processes = new Map<number, number>();
  /** Descriptors that were closed, of what is no text of /proc. */
  readonly closed: number[] = [];
  /** CLOCK_MONOTONIC, in ms. */
  now = 5000;
  readonly sys: Sys;
  readonly ledger: DescriptorLedger;
  readonly #texts = new Map<number, string>();
  readonly #open = new Set<number>();

  /** @param failing calls that fail */
  constructor(failing: Partial<Sys> = {}) {
    this.sys = {
      ...kernel,
      open: (path, flags, mode) =>
        path.startsWith("/proc/") ? this.#text(path) : this.#opened(path, flags, mode),
      read: (fd, into) => {
        const text = this.#texts.get(fd);
        if (text === undefined) return kernel.read(fd, into);
        this.#texts.set(fd, "");
        return new TextEncoder().encodeInto(text, into).written;
      },
      pread: (fd, into, at) => {
        const text = this.#texts.get(fd);
        return text === undefined
          ? kernel.pread(fd, into, at)
          : new TextEncoder().encodeInto(text.slice(at), into).written;
      },
      close: (fd) => {
        if (!this.#texts.delete(fd)) this.closed.push(fd);
        this.#open.delete(fd);
        return kernel.close(fd);
      },
      memfd: (name) => this.#noted(kernel.memfd(name)),
      pidfdOpen: (pid) => this.processes.has(pid) ? this.#noted(kernel.eventfd()) : -ESRCH,
      monotonic: () => this.now,
      ...failing,
    };
    this.ledger = new DescriptorLedger(this.sys);
  }

  /** What a journal is opened from, without a store. */
  sources(parts: Partial<JournalSources> = {}): JournalSources {
    return {
      sys: this.sys,
      ledger: this.ledger,
      log: this.log,
      journalDir: this.scratch.path,
      keeper: false,
      returned: [],
      handed: undefined,
      ...parts,
    };
  }

  /** Memory in which a daemon has recorded something. @returns its descriptor */
  memory(operations: readonly Operation[], begun = 1000): number {
    const fd = this.sys.memfd("journal");
    return record(fd, operations, THIS_BOOT, begun);
  }

  /** The journal's file, in which a daemon has recorded something. @returns its path */
  file(operations: readonly Operation[], begun = 1000, boot = THIS_BOOT): string {
    const path = this.scratch.file("journal");
    const fd = kernel.open(path, O_RDWR | O_CREAT, 0o600);
    record(fd, operations, boot, begun);
    kernel.close(fd);
    return path;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open) kernel.close(fd);
    this.scratch[Symbol.dispose]();
  }

  #opened(path: string, flags: number, mode: number): number {
    return this.#noted(kernel.open(path, flags, mode));
  }

  #noted(fd: number): number {
    if (fd >= 0) this.#open.add(fd);
    return fd;
  }

  #text(path: string): number {
    const [, pid] = /^\/proc\/(\d+)\/stat$/.exec(path) ?? [];
    const start = this.processes.get(Number(pid));
    const text = path === "/proc/sys/kernel/random/boot_id"
      ? `${THIS_BOOT}\n`
      : path === "/proc/self/mountinfo"
      ? "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
      : start === undefined
      ? undefined
      : `${pid} (guest) S 1 1 1 0 -1 0${" 0".repeat(12)} ${start} 0`;
    if (text === undefined) return -ENOENT;
    // A descriptor that may be watched.
    const fd = this.#noted(kernel.eventfd());
    this.#texts.set(fd, text);
    return fd;
  }
}

function record(fd: number, operations: readonly Operation[], boot: string, begun: number): number {
  const memory = new SharedMemory(kernel, fd);
  createLog(memory).append(operations);
  writeStamp(memory, { boot: boot.replaceAll("-", ""), begun });
  return fd;
}

/** What an earlier image hands over that has nothing but what is said. */
export function handedState(
  kept: readonly KeptDescriptor[],
  journal: JsonValue,
): RestartState {
  return {
    pid: 4000,
    servers: {
      virtlockd: { maxClients: 1, maxAnonymousClients: 1, nextClientId: 1, listeners: [], clients: [] },
    },
    lockspaces: [],
    nextResourceId: 1,
    extension: {
      dying: [],
      parked: [],
      kept,
      settings: {},
      cwd: "/",
      statistics: null,
      journal,
      notify: null,
    },
  };
}
