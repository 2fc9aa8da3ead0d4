import assert from "node:assert/strict";
import type { LockRequest, UnlockRequest } from "../../../../src/lockd/lockspace/lock_file.ts";
import type {
  LockFiles,
  LockFilesOutcome,
  UnlockFailed,
} from "../../../../src/lockd/lockspace/lock_files.ts";
import type { DirectoryFailure, FileFailure } from "../../../../src/lockd/lockspace/file_failure.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import type { Opened } from "../../../../src/lockd/lockspace/open_files.ts";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import { type Owner, type OwnerKey, ownerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { Done, ForeignHolder, Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { fileOf } from "../../../support/file_handle.ts";
import { DEAF } from "../../../support/deaf_observer.ts";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";

export const ALPHA = { pid: 100, id: 1, name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
export const BETA = { pid: 200, id: 2, name: "beta", uuid: "66666666-7777-8888-9999-000000000000" };
export const EXCLUSIVE = { shared: false, autocreate: false };
export const SHARED = { shared: true, autocreate: false };
export const OFD_HOLDER = { kind: "process", pid: 7, command: "qemu" } as const;

type Unlock = { request: UnlockRequest; slow: () => void; done: (failure: UnlockFailed | undefined) => void };

/** Files whose operations the test answers. */
class PlayedFiles implements LockFiles {
  readonly locks: { request: LockRequest; done: (outcome: LockFilesOutcome) => void }[] = [];
  readonly unlocks: Unlock[] = [];
  readonly others: { what: string; done: (failure: FileFailure | undefined) => void }[] = [];
  readonly #ledger: DescriptorLedger;
  #nextFd = 50;

  constructor(ledger: DescriptorLedger) {
    this.#ledger = ledger;
  }

  lock(request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    this.locks.push({ request, done });
  }

  unlock(
    request: UnlockRequest,
    _identity: unknown,
    slow: (failure: UnlockFailed) => void,
    done: Unlock["done"],
  ) {
    this.unlocks.push({
      request,
      slow: () => slow({ kind: "storage", action: "Release", reason: "slow", released: false }),
      done: (failure) => {
        if (failure === undefined || failure.released) this.#ledger.close(request.fd);
        done(failure);
      },
    });
  }

  create(path: string, followLinks: boolean, done: (failure: FileFailure | undefined) => void): void {
    this.others.push({ what: `create ${path} ${followLinks}`, done });
  }

  remove(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.others.push({ what: `remove ${path}`, done });
  }

  makeDirectory(path: string, done: (failure: FileFailure | undefined) => void): void {
    this.others.push({ what: `make ${path}`, done });
  }

  checkDirectory(path: string, done: (failure: DirectoryFailure | undefined) => void): void {
    this.others.push({ what: `check ${path}`, done });
  }

  /** Grants the oldest lock that is asked for; the file's inode is `inode`. */
  grant(inode: number): void {
    const identity = { devMajor: 8, devMinor: 1, inodeLow: inode, inodeHigh: 0 };
    this.answerLock({ kind: "granted", fd: this.#nextFd++, identity });
  }

  answerLock(outcome: LockFilesOutcome): void {
    (this.locks.shift() ?? assert.fail("no lock was asked for")).done(outcome);
  }

  answerUnlock(failure?: UnlockFailed): void {
    (this.unlocks.shift() ?? assert.fail("no release was asked for")).done(failure);
  }

  answerOther(failure?: FileFailure): string {
    const { what, done } = this.others.shift() ?? assert.fail("nothing was asked for");
    done(failure);
    return what;
  }
}

/** A table over played files, with what it reported. */
export class Table {
  readonly closed: number[] = [];
  readonly events: string[] = [];
  readonly ledger = new DescriptorLedger({ close: (fd) => this.closed.push(fd) });
  readonly files = new PlayedFiles(this.ledger);
  readonly guard = new PosixGuard(this.ledger);
  holder: ForeignHolder = { kind: "unknown" };
  /** Owners whose process is watched. */
  readonly alive = new Set<OwnerKey>();
  /** By pid and name. */
  readonly open = new Map<string, Opened>();
  staleResumeAllowed = false;
  /** Why no owner can be watched. */
  unwatched: SystemError | undefined;
  /** How long who asks waits for owners on their way out, in ms. */
  patience = 0;
  /** Whether owners that are gone have a write under way. */
  writes = false;
  readonly settling = new Map<Resource, OwnerKey>();
  landed = () => {};
  /** The time of who waits is up. */
  late = () => {};
  /** Owners whose process has ended, though nobody was told. */
  readonly endedUnseen = new Set<OwnerKey>();
  readonly table = new LockTable({
    files: this.files,
    ledger: this.ledger,
    guard: this.guard,
    observer: {
      ...DEAF,
      regranted: ({ name }) => this.events.push(`regranted ${name}`),
      wentOn: ({ name }) => this.events.push(`went on ${name}`),
      regrantable: ({ name }) => this.events.push(`regrantable ${name}`),
      parked: ({ name, owner, use }) =>
        this.events.push(
          `parked ${name} ${owner.name}${use === undefined ? "" : ` used by ${use.owner.name}`}`,
        ),
      unparked: ({ name, owner }) => this.events.push(`unparked ${name} ${owner.name}`),
      resumeUnjudged: ({ name }) => this.events.push(`unjudged ${name}`),
      lockspaceCreated: (path) => this.events.push(`created ${path}`),
      lockspacePlaced: () => {},
      granted: ({ name }, { owner }) => this.events.push(`granted ${name} ${owner.name}`),
      released: ({ name }, owner, last) =>
        this.events.push(`released ${name} ${owner.name}${last ? " last" : ""}`),
      recast: (resource) =>
        this.events.push(`recast ${resource.name} ${fileOf(resource).lock} ${resource.state.kind}`),
      lost: ({ name, state }, how) => this.events.push(`lost ${name} ${state.kind}: ${how}`),
      regained: ({ name }) => this.events.push(`regained ${name}`),
      refused: (owner, { kind }) => this.events.push(`refused ${owner.name} ${kind}`),
      learnt: ({ name, holdings }) => this.events.push(`learnt ${name} ${holdings[0]?.owner.name}`),
      troubled: ({ name }, { action }) => this.events.push(`troubled ${name} ${action}`),
    },
    ...ANYWHERE,
    ...NOTHING_WRITTEN,
    settler: {
      settle: (resource, holding, over) => {
        if (!this.writes) return over();
        this.settling.set(resource, ownerKey(holding.owner));
        this.landed = () => {
          this.settling.clear();
          over();
        };
      },
      isSettling: (resource, key) => this.settling.get(resource) === key,
      isWaitedFor: (key) => [...this.settling.values()].includes(key),
      reasonOf: (resource) => this.settling.has(resource) ? "it writes" : undefined,
      abandon: () => {},
    },
    loop: {
      after: (_milliseconds, task) => {
        this.late = task;
        return { due: 0, cancel: () => {} };
      },
      defer: (task) => task(),
    },
    patience: () => this.patience,
    watch: {
      begin: () => this.unwatched,
      hasEnded: (key) => this.endedUnseen.has(key),
      processOf: (key) => this.alive.has(key) ? { key, pid: Number(key), start: 1, pidfd: 9 } : undefined,
    },
    opened: (pid, { name }) => this.open.get(`${pid} ${name}`) ?? "unknown",
    staleResumeAllowed: () => this.staleResumeAllowed,
    findHolder: (_path, _identity, _pid, done) => done(this.holder),
    now: () => 5000,
  });

  /** Asks; what was answered so far is in the array. */
  ask(request: (done: Done) => void): (Refusal | undefined)[] {
    const answers: (Refusal | undefined)[] = [];
    request((refusal) => answers.push(refusal));
    return answers;
  }

  acquire(name: string, owner = ALPHA, options = EXCLUSIVE, path = ""): (Refusal | undefined)[] {
    return this.ask((done) => this.table.acquire(path, name, options, owner, done));
  }

  /** Over a connection. */
  acquireOver(trail: GrantTrail, name: string, owner = ALPHA): (Refusal | undefined)[] {
    return this.ask((done) => this.table.acquire("", name, EXCLUSIVE, owner, done, trail));
  }

  /** An owner's process lives, and has these disks open for writing. */
  live(owner: Owner, ...disks: readonly string[]): void {
    this.alive.add(owner.pid);
    for (const disk of disks) this.open.set(`${owner.pid} ${disk}`, "open");
  }

  /** libvirt releases a lock. */
  releaseNow(name: string, owner = ALPHA): void {
    assert.deepEqual(
      this.ask((done) => {
        this.table.release("", name, owner, done);
        this.files.answerUnlock();
      }),
      [undefined],
    );
  }

  release(name: string, owner = ALPHA): (Refusal | undefined)[] {
    return this.ask((done) => this.table.release("", name, owner, done));
  }

  /** Takes a lock that is granted. */
  hold(name: string, inode: number, owner = ALPHA, options = EXCLUSIVE): Resource {
    const answers = this.acquire(name, owner, options);
    this.files.grant(inode);
    assert.deepEqual(answers, [undefined]);
    return this.table.lockspaces.get("")?.resources.get(name) ?? assert.fail();
  }
}
