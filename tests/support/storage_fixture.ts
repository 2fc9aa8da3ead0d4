import { EventLoop } from "../../src/chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../src/os/ledger.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { Sys } from "../../src/os/sys.ts";
import type { Mount } from "../../src/lockd/storage/mount_tree.ts";
import type { StorageObserver } from "../../src/lockd/storage/storage_observer.ts";
import { PATIENCE_MS } from "./until.ts";

/** A mount; parts may be replaced. */
export function mount(parts: Partial<Mount> = {}): Mount {
  const where = { id: 40, parent: 27, device: 2, point: "/mnt", root: "/" };
  return { ...where, type: "nfs4", source: "server:/export", ...parts };
}

/** The real kernel with some calls replaced. */
export function sysWith(parts: Partial<Sys> = {}): Sys {
  return { ...linuxSys(), ...parts };
}

/** Runs a test with a directory that is removed afterwards. */
export function inDirectory(test: (directory: string) => void): () => void {
  return () => {
    const directory = Deno.makeTempDirSync({ prefix: "storage-test-" });
    try {
      test(directory);
    } finally {
      Deno.removeSync(directory, { recursive: true });
    }
  };
}

/** An event loop that a test turns, with a ledger. Disposing of it closes the loop. */
export class Turning implements Disposable {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;

  constructor(sys: Sys = linuxSys()) {
    this.sys = sys;
    this.loop = new EventLoop(sys);
    this.ledger = new DescriptorLedger(sys);
  }

  /** Turns the loop until `ready` answers with something; not for ever. */
  until<T>(ready: () => T | undefined): T {
    const end = this.sys.monotonic() + PATIENCE_MS;
    for (;;) {
      const value = ready();
      if (value !== undefined) return value;
      this.loop.turn(PATIENCE_MS);
      if (this.sys.monotonic() > end) throw new Error(`Turn event loop: no answer in ${PATIENCE_MS} ms`);
    }
  }

  /** Asks for something that is answered once, now or later, and turns the loop until it is. */
  ask<T>(begin: (done: (value: T) => void) => void): T {
    let answer: { value: T } | undefined;
    begin((value) => answer = { value });
    return this.until(() => answer).value;
  }

  [Symbol.dispose](): void {
    this.loop.close();
  }
}

/** Keeps what it is told, one line each. */
export class RecordedStorage implements StorageObserver {
  readonly lines: string[] = [];

  storageHung(place: string, action: string): void {
    this.lines.push(`hung: ${place}: ${action}`);
  }

  storageRecovered(place: string, _milliseconds: number): void {
    this.lines.push(`recovered: ${place}`);
  }

  storageLate(place: string, outcome: string): void {
    this.lines.push(`late: ${place}: ${outcome}`);
  }

  storageHelperEnded(place: string, reason: string): void {
    this.lines.push(`ended: ${place}: ${reason}`);
  }

  ownerRecordFailed(path: string, errno: number): void {
    this.lines.push(`record: ${path}: ${errno}`);
  }

  mountsUnreadable(error: Error): void {
    this.lines.push(`mounts: ${error.message}`);
  }
}

/**
 * A kernel with a list of mounts of the test's, which it may change. The list is watched like the real one.
 */
export class ListedMounts {
  text: string;
  readonly sys: Sys;

  constructor(text: string, faults: Partial<Sys> = {}) {
    this.text = text;
    const real = linuxSys();
    const lists = new Set<number>();
    this.sys = {
      ...real,
      open(path, flags, mode) {
        const fd = real.open(path, flags, mode);
        if (path === "/proc/self/mountinfo" && fd >= 0) lists.add(fd);
        return fd;
      },
      close(fd) {
        lists.delete(fd);
        return real.close(fd);
      },
      pread: (fd, into, position) =>
        lists.has(fd)
          ? new TextEncoder().encodeInto(this.text.slice(position), into).written
          : real.pread(fd, into, position),
      ...faults,
    };
  }
}
