import { PosixGuard } from "../../src/lockd/lockspace/posix_guard.ts";
import type { LockRequest } from "../../src/lockd/lockspace/lock_file.ts";
import type { LockFilesOutcome, UnlockFailed } from "../../src/lockd/lockspace/lock_files.ts";
import type { Sys } from "../../src/os/sys.ts";
import { Storage } from "../../src/lockd/storage/storage.ts";
import { RecordedStorage, Turning } from "./storage_fixture.ts";
import { testProgram } from "./programs.ts";
import { PATIENCE_MS } from "./until.ts";

const HELPER = testProgram(new URL("./storage_helper_main.ts", import.meta.url));

/** A lock that was granted. */
export type Granted = Extract<LockFilesOutcome, { kind: "granted" }>;

/** What came of a release. */
export type Released = { what: "slow" | "done"; failure: UnlockFailed | undefined };

/** How to start a storage helper without the rest of the program. */
export function helperCommand() {
  return {
    path: Deno.execPath(),
    argv: ["deno", "run", "-A", "--no-check", HELPER],
    env: Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`),
  };
}

/** Storage with real helper processes, driven by a test. Disposing of it lets them go. */
export class StorageHost implements Disposable {
  readonly turning: Turning;
  readonly storage: Storage;
  readonly observer = new RecordedStorage();
  /** Time limit of the next ask, in ms. */
  limit = PATIENCE_MS;

  constructor(sys: Sys, inherited?: number) {
    this.turning = new Turning(sys);
    const { loop, ledger } = this.turning;
    this.storage = new Storage({
      sys,
      loop,
      ledger,
      guard: new PosixGuard(ledger),
      self: helperCommand(),
      timeLimit: () => this.limit,
      observer: this.observer,
      now: () => performance.now(),
      inherited,
      deputySocket: "/nowhere/deputy-sock",
      sightOf: () => undefined,
      guests: () => [],
    });
  }

  /** Asks for the exclusive lock of an image that is there. */
  lockImage(path: string): LockFilesOutcome {
    return this.lock(path, { autocreate: false, followLinks: true });
  }

  /** Asks for an autocreated exclusive lock in a directory, and waits for the outcome. */
  lock(path: string, parts: Partial<LockRequest> = {}): LockFilesOutcome {
    const request = { path, shared: false, autocreate: true, followLinks: false, ...parts };
    return this.turning.ask((done) => this.storage.files.lock(request, done));
  }

  /** The same, which must be granted. */
  granted(path: string, parts: Partial<LockRequest> = {}): Granted {
    const outcome = this.lock(path, parts);
    if (outcome.kind !== "granted") throw new Error(`Lock ${path}: ${JSON.stringify(outcome)}`);
    return outcome;
  }

  /** Begins to release a lock; what comes of it is added to the list. */
  beginRelease(path: string, { fd, identity }: Granted): Released[] {
    const list: Released[] = [];
    const request = { path, fd, lock: "ofd", shared: false, autocreate: true, force: false } as const;
    this.storage.files.unlock(
      request,
      identity,
      (failure) => list.push({ what: "slow", failure }),
      (failure) => list.push({ what: "done", failure }),
    );
    return list;
  }

  /** Releases a lock; what failed. */
  release(path: string, lock: Granted): UnlockFailed | undefined {
    const list = this.beginRelease(path, lock);
    return this.turning.until(() => list.find(({ what }) => what === "done"))?.failure;
  }

  /** Process id of the helper for a mount point, once it has one. */
  helper(point: string): number {
    return this.turning.until(() => this.storage.status.find(({ mount }) => mount?.point === point)?.helper);
  }

  [Symbol.dispose](): void {
    this.storage.close();
    this.turning[Symbol.dispose]();
  }
}
