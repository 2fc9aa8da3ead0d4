import assert from "node:assert/strict";
import { O_RDWR } from "../../../../src/os/constants.ts";
import { ENOBUFS } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { must } from "../../../../src/os/system_error.ts";
import type { FileIdentity } from "../../../../src/lockd/lockspace/file_identity.ts";
import type { LockRequest, UnlockRequest } from "../../../../src/lockd/lockspace/lock_file.ts";
import type { LockFilesOutcome, UnlockFailed } from "../../../../src/lockd/lockspace/lock_files.ts";
import { StorageClient } from "../../../../src/lockd/storage/storage_client.ts";
import type { Mount } from "../../../../src/lockd/storage/mount_tree.ts";
import { PlayedHelpers } from "./played_helper.ts";
import { idleTime } from "../../../support/idle_time.ts";
import { mount, RecordedStorage, Turning } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

export const IDENTITY: FileIdentity = { devMajor: 0, devMinor: 2, inodeLow: 7, inodeHigh: 0 };
/** A time limit that a test waits for, in ms. */
export const SHORT = 30;
export const SILENT = "storage at /mnt did not answer within 0.03 s";

function request(path: string, parts: Partial<LockRequest> = {}): LockRequest {
  return { path, shared: false, autocreate: true, followLinks: false, ...parts };
}

/** A client whose helpers the test plays. Disposing of it checks that no descriptor is left. */
export class Stage implements Disposable {
  readonly #before = openDescriptors();
  /** Whether the client cannot send any more. */
  mute = false;
  readonly #real = linuxSys();
  readonly turning = new Turning({
    ...idleTime(this.#real),
    sendMessage: (fd, bytes, descriptors) =>
      this.mute ? -ENOBUFS : this.#real.sendMessage(fd, bytes, descriptors),
  });
  readonly helpers = new PlayedHelpers(this.#real);
  readonly observer = new RecordedStorage();
  readonly client: StorageClient;
  /** Descriptors that were closed as lock files. */
  readonly closed: number[] = [];
  rested = 0;
  /** Time limit of the next ask, in ms. */
  limit: number;

  constructor({ limit = 20_000, place }: { limit?: number; place: Mount | undefined } = { place: mount() }) {
    this.limit = limit;
    const { sys, loop, ledger } = this.turning;
    this.client = new StorageClient({
      sys,
      loop,
      ledger,
      starter: this.helpers,
      closeFile: (fd) => {
        this.closed.push(fd);
        sys.close(fd);
      },
      timeLimit: () => this.limit,
      observer: this.observer,
      now: () => 1_000_000,
      rested: () => this.rested++,
    }, place);
  }

  get helper() {
    return this.helpers.helper;
  }

  /** Asks for a lock; what came of it, once it has. */
  lock(path: string, parts: Partial<LockRequest> = {}): Answer<LockFilesOutcome> {
    const answer = new Answer<LockFilesOutcome>();
    this.client.lock(request(path, parts), answer.take);
    return answer;
  }

  /** Releases; `slow` and `done` in the order in which they came. */
  unlock(path: string, fd: number): Answer<[what: "slow" | "done", failure: UnlockFailed | undefined]> {
    const answer = new Answer<["slow" | "done", UnlockFailed | undefined]>();
    const what: UnlockRequest = { path, fd, lock: "ofd", shared: false, autocreate: true, force: false };
    this.client.unlock(
      what,
      IDENTITY,
      (failure) => answer.take(["slow", failure]),
      (failure) => answer.take(["done", failure]),
    );
    return answer;
  }

  /** Any open file. */
  file(): number {
    return must(this.turning.sys.open("/dev/null", O_RDWR, 0), "open", "/dev/null");
  }

  /** Grants the lock with this id, with a descriptor. */
  grant(id: number): void {
    const fd = this.file();
    this.helper.answer(id, { kind: "granted", identity: IDENTITY }, [fd]);
    this.turning.sys.close(fd);
  }

  /** Turns the loop until there is this many answers. @returns the last */
  until<T>(answer: Answer<T>, count = 1): T {
    return this.turning.until(() =>
      answer.all.length >= count ? { value: answer.all.at(-1) as T } : undefined
    ).value;
  }

  [Symbol.dispose](): void {
    this.client.close();
    this.helpers.close();
    this.turning[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), [], "descriptors are left open");
    assert.equal(this.turning.ledger.size, 0);
  }
}

/** Keeps every answer. */
export class Answer<T> {
  readonly all: T[] = [];
  readonly take = (value: T): void => void this.all.push(value);
}
