import { ENOENT, ESRCH } from "../../os/errno.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { type FileIdentity, sameFile } from "./file_identity.ts";
import type { LockKind } from "./lock_file.ts";
import { identityField, type NoHandle } from "./lock_handle.ts";
import type { LockFiles, LockFilesOutcome, UnlockFailed } from "./lock_files.ts";
import { LockDirectories, type LockDirectoriesParts, type LockspaceObserver } from "./lock_directories.ts";
import { GrantTrail } from "./grant_trail.ts";
import type { Opened, SoughtFile } from "./open_files.ts";
import { type ParkedLock, ParkedLocks } from "./parked_locks.ts";
import { Lockspace } from "./lockspace.ts";
import {
  type Holding,
  isHeldBy,
  type Owner,
  type OwnerKey,
  ownerKey,
  ownerRecord,
  UNKNOWN_UUID,
} from "./owner.ts";
import type { OwnerWatch } from "./owner_watch.ts";
import type { PosixGuard } from "./posix_guard.ts";
import { invariant } from "../../base/invariant.ts";
import { takeAt } from "../../base/lists.ts";
import { RecurringMap } from "../../base/recurring_map.ts";
import type { Done, ForeignHolder, HeldReport, Refusal } from "./refusal.ts";
import { HELD, isMissing, type LockState } from "./lock_record.ts";
import type { Resource } from "./resource.ts";
import type { Settler } from "./settler.ts";
import { WaitingAsks } from "./waiting_asks.ts";

/** Told of every change in the same turn in which it happens, before any reply is sent. */
export interface LockObserver extends LockspaceObserver {
  /** A resource was locked, or an owner was added to a shared one. */
  granted(resource: Resource, holding: Holding): void;
  /** An owner was taken off; `last` when the kernel lock has gone with it. */
  released(resource: Resource, owner: Owner, last: boolean): void;
  /** An owner asked again for what it has, and was told that it has it. */
  regranted(resource: Resource): void;
  /** It may not know that it has it. */
  regrantable(resource: Resource): void;
  /** A lock was released for an owner whose process goes on, or its use by another became known. */
  parked(parked: ParkedLock): void;
  /** Its owner got it again. */
  unparked(parked: ParkedLock): void;
  /**
   * An owner got a lock that another domain has used meanwhile; whether its guest was paused is not known.
   */
  resumeUnjudged(resource: Resource, parked: ParkedLock): void;
  /** It became known who an owner is of whom only the pid was known. */
  learnt(resource: Resource): void;
  refused(owner: Owner, refusal: Refusal): void;
  /** The kernel holds a lock in another way now, or it is in doubt, or no more. */
  recast(resource: Resource): void;
  /**
   * A lock turned out not to be held although its owner was told so: its guest runs unprotected. Its state
   * says why. Told again for each other reason.
   *
   * @param how it was lost, as words behind its name
   */
  lost(resource: Resource, how: string): void;
  /** A lost lock is held again. */
  regained(resource: Resource): void;
  /** A lock could not be released, and is kept; or it was, but its autocreated file was left behind. */
  troubled(resource: Resource, failure: UnlockFailed): void;
}

/** Finds who holds a file outside this daemon. Calls `done` exactly once, at once or later. */
export type FindHolder = (
  path: string,
  identity: FileIdentity,
  pid: number,
  done: (holder: ForeignHolder) => void,
) => void;

/** What the lock table needs. */
export interface LockTableParts extends Pick<LockDirectoriesParts, "places" | "allowed"> {
  files: LockFiles;
  ledger: DescriptorLedger;
  guard: PosixGuard;
  observer: LockObserver;
  /** Told of an owner before it gets anything. */
  watch: Pick<OwnerWatch, "begin" | "hasEnded" | "processOf">;
  /** Whether a process, as the daemon sees it, has a lock's disk open for writing. */
  opened: (pid: number, sought: SoughtFile) => Opened;
  /** Whether a paused guest may go on although another one has used its disk. */
  staleResumeAllowed: () => boolean;
  /** Keeps the locks of owners whose process is gone until their last writes have landed. */
  settler: Pick<Settler, "settle" | "isSettling" | "reasonOf" | "abandon">;
  loop: Pick<EventLoop, "after" | "defer">;
  /** How long an ask waits for a lock whose owners are on their way out, in ms. */
  patience: () => number;
  findHolder: FindHolder;
  /** Unix milliseconds. */
  now: () => number;
}

/** How a lock is asked for. */
export interface AcquireOptions {
  readonly shared: boolean;
  readonly autocreate: boolean;
}

/**
 * The lock core: all lockspaces, their resources, and who owns what. docs/protocol.md, Lock program.
 *
 * It grants nothing that the kernel has not granted: the table only adds owners to shared locks and refuses
 * early.
 */
export class LockTable {
  readonly #parts: LockTableParts;
  readonly #directories: LockDirectories;
  /** Resources by owner: what one has whose process is gone is found without a walk. */
  readonly #byOwner = new RecurringMap<OwnerKey, Set<Resource>>();
  readonly #dying = new Set<OwnerKey>();
  /** Owners of whom nothing but the pid is known. */
  readonly #nameless = new Set<OwnerKey>();
  /** What was released for owners whose process goes on. */
  readonly parked = new ParkedLocks();
  readonly #waiting: WaitingAsks;
  #nextId = 1;
  #resourceCount = 0;

  constructor(parts: LockTableParts) {
    this.#parts = parts;
    this.#directories = new LockDirectories(parts);
    this.#waiting = new WaitingAsks(parts.loop);
  }

  /** All lockspaces, the default one ("") first. */
  get lockspaces(): ReadonlyMap<string, Lockspace> {
    return this.#directories.all;
  }

  /** How many resources are locked. */
  get resourceCount(): number {
    return this.#resourceCount;
  }

  /** Every locked resource. */
  *resources(): Generator<Resource> {
    for (const lockspace of this.lockspaces.values()) yield* lockspace.resources.values();
  }

  /** Resources that an owner has. */
  ownedBy(key: OwnerKey): readonly Resource[] {
    return [...this.#byOwner.get(key) ?? []];
  }

  /** Whether an owner has anything. */
  owns(key: OwnerKey): boolean {
    return this.#byOwner.has(key);
  }

  /** Everybody who owns anything. */
  get owners(): Iterable<OwnerKey> {
    return this.#byOwner.keys();
  }

  /** Whether slow storage is just locking something for an owner. */
  asks(key: OwnerKey): boolean {
    for (const { pending } of this.lockspaces.values()) {
      for (const owner of pending.values()) if (ownerKey(owner) === key) return true;
    }
    return false;
  }

  /**
   * From now on the owner's process is being killed: it gets no new locks and its locks go when it is gone.
   */
  markDying(key: OwnerKey): void {
    this.#dying.add(key);
  }

  /** Whether the owner's process is being killed. */
  isDying(key: OwnerKey): boolean {
    return this.#dying.has(key);
  }

  /** Why a lock stays although the process of an owner is gone; undefined when none is. */
  settling(resource: Resource): string | undefined {
    return this.#parts.settler.reasonOf(resource);
  }

  /** NEW: a lockspace that must not exist yet. */
  newLockspace(path: string, done: Done): void {
    if (path === "") return done({ kind: "default-lockspace-exists" });
    if (this.#directories.get(path) !== undefined) return done({ kind: "lockspace-exists", path });
    this.#directories.make(path, done);
  }

  /** CREATE_LOCKSPACE: a lockspace that may exist already. */
  ensureLockspace(path: string, done: Done): void {
    if (path === "") return done(undefined);
    const known = this.#directories.get(path);
    if (known === undefined) this.#directories.make(path, done);
    else this.#directories.remake(known, done);
  }

  /** CREATE_RESOURCE: makes the file. */
  createResource(path: string, name: string, done: Done): void {
    const found = this.#unlocked(path, name);
    if (!(found instanceof Lockspace)) return done(found);
    const refusal = this.#directories.misplaced(found) ?? this.#directories.notToBeMade(found, name);
    if (refusal !== undefined) return done(refusal);
    this.#parts.files.create(found.fileOf(name), found.path === "", (failure) => done(failure));
  }

  /** DELETE_RESOURCE: unlinks the file. */
  deleteResource(path: string, name: string, done: Done): void {
    const found = this.#unlocked(path, name);
    if (!(found instanceof Lockspace)) return done(found);
    this.#parts.files.remove(found.fileOf(name), (failure) => done(failure));
  }

  /**
   * ACQUIRE_RESOURCE: locks a resource for an owner, or adds the owner to a shared one. Waits for a lock of
   * which all owners are on their way out.
   *
   * @param deadline until when, in Unix milliseconds; given when it has waited before
   */
  acquire(
    path: string,
    name: string,
    options: AcquireOptions,
    owner: Owner,
    done: Done,
    trail: GrantTrail = new GrantTrail(),
    deadline?: number,
  ): void {
    const finish: Done = (refusal) => {
      if (refusal !== undefined) this.#refused(owner, refusal, trail);
      done(refusal);
    };
    const lockspace = this.#directories.get(path);
    if (lockspace === undefined) {
      return this.#directories.adopt(path, (refusal) => {
        if (refusal !== undefined) return finish(refusal);
        this.acquire(path, name, options, owner, done, trail);
      });
    }
    const bad = lockspace.badName(name);
    if (bad !== undefined) return finish({ kind: "bad-name", resource: name, reason: bad });
    const misplaced = this.#directories.misplaced(lockspace);
    if (misplaced !== undefined) return finish(misplaced);
    if (this.#dying.has(ownerKey(owner))) {
      return finish({ kind: "owner-dying", resource: name, pid: owner.pid });
    }
    if (this.#nameless.size > 0) this.#learn(owner);
    const unwatched = this.#parts.watch.begin(owner);
    if (unwatched !== undefined) {
      const { errno } = unwatched;
      const action = errno === ESRCH
        ? `Resource ${name} is not locked for process ${owner.pid}, which has ended`
        : `Unable to watch process ${owner.pid}, the owner of resource ${name}`;
      return finish({ kind: "system", action, errno });
    }
    const resource = lockspace.resources.get(name);
    if (resource !== undefined) {
      const shareable = resource.shared && options.shared && resource.state.kind === "held";
      if (shareable) {
        this.#addOwner(resource, owner);
        return finish(undefined);
      }
      if (!this.#regrant(resource, options, owner, trail)) {
        return this.#await(resource, deadline, () => {
          return finish({ kind: "held", resource: name, held: this.#report(resource) });
        }, (until) => this.acquire(path, name, options, owner, done, trail, until));
      }
      trail.granted(resource);
      return finish(undefined);
    }
    const stale = this.#stale(lockspace, name, options, owner);
    if (stale?.use !== undefined) {
      return finish({ kind: "used-meanwhile", resource: name, owner, use: stale.use });
    }
    const asker = lockspace.pending.get(name);
    if (asker !== undefined) return finish({ kind: "pending", resource: name, owner: asker.name });
    lockspace.pending.set(name, owner);
    this.#lock(lockspace, name, options, owner, (outcome) => {
      lockspace.pending.delete(name);
      const ours = outcome.kind === "busy" ? this.findByFile(outcome.identity) : undefined;
      if (ours === undefined) return this.#locked(lockspace, name, options, owner, trail, outcome, finish);
      this.#await(ours, deadline, () => {
        return finish({ kind: "held", resource: name, held: this.#report(ours) });
      }, (until) => this.acquire(path, name, options, owner, done, trail, until));
    });
  }

  /** RELEASE_RESOURCE: takes an owner off; the last one takes the lock along. */
  release(path: string, name: string, owner: Owner, done: Done): void {
    const lockspace = this.#directories.get(path);
    if (lockspace === undefined) return done({ kind: "lockspace-missing", path });
    const resource = lockspace.resources.get(name);
    if (resource === undefined) return done({ kind: "not-held", resource: name });
    if (this.#nameless.size > 0) this.#learn(owner);
    const holding = resource.holdings.find((held) => isHeldBy(held.owner, owner));
    if (holding === undefined) {
      return done({ kind: "not-owner", resource: name, asker: owner, held: this.#report(resource) });
    }
    // Its lock guards the disk until the process, which may still be writing, is gone.
    if (this.#dying.has(ownerKey(owner))) {
      return done({ kind: "owner-dying", resource: name, pid: owner.pid });
    }
    const settling = this.#parts.settler.isSettling(resource, ownerKey(holding.owner));
    if (settling) {
      const reason = this.#parts.settler.reasonOf(resource) ?? "its process is gone";
      return done({ kind: "settling", resource: name, reason });
    }
    this.#takeOff(resource, holding, false, done);
  }

  /**
   * A connection has ended: what it was granted before it was refused something, its owner may not know of.
   */
  abandon(trail: GrantTrail): void {
    for (const resource of trail.end()) {
      if (resource.holdings.length === 0 || resource.shared) continue;
      resource.regrant = "half-failed";
      this.#parts.observer.regrantable(resource);
    }
  }

  /** From now on nobody waits for a lock whose owners are on their way out: who does is refused. */
  stopWaiting(): void {
    this.#waiting.end();
  }

  /** An owner's process has ended, whether it has anything or not. */
  ended(key: OwnerKey): void {
    for (const parked of [...this.parked.of(key)]) this.#parts.observer.unparked(parked);
    this.parked.forget(key);
  }

  /**
   * Releases everything an owner has: its process is gone. {@link HolderReaper.free} is who calls it. Each
   * lock goes when the last writes that it guards against have landed.
   *
   * @param done called when all of it is released or found impossible to release
   */
  releaseAll(key: OwnerKey, done: () => void): void {
    this.#dying.delete(key);
    const resources = this.ownedBy(key);
    let left = 1;
    const one = () => {
      if (--left === 0) done();
    };
    for (const resource of resources) {
      const mine = () => resource.holdings.filter(({ owner }) => ownerKey(owner) === key);
      const [first] = mine();
      if (first === undefined || this.#parts.settler.isSettling(resource, key)) continue;
      left++;
      this.#parts.settler.settle(resource, first, () => {
        for (const holding of mine()) {
          left++;
          this.#takeOff(resource, holding, true, one);
        }
        one();
      });
    }
    one();
  }

  /** A locked resource by its name. */
  find(path: string, name: string): Resource | undefined {
    return this.#directories.get(path)?.resources.get(name);
  }

  /**
   * Takes an owner off a resource, as often as it has it, although it did not ask for that: whoever calls
   * this has judged it.
   */
  giveUp(resource: Resource, { uuid, ...owner }: Owner, done: Done): void {
    const key = ownerKey({ uuid, ...owner });
    const held = resource.holdings.filter((holding) =>
      ownerKey(holding.owner) === key && holding.owner.uuid === uuid
    );
    const last = held.pop();
    if (last === undefined) throw new Error(`Give up resource ${resource.name}: the owner does not hold it`);
    // Only of a shared one it may have several, and all but the last hold go at once.
    for (const holding of held) this.#takeOff(resource, holding, true, () => {});
    this.#takeOff(resource, last, true, done, true);
  }

  /** The resource of this daemon, if any, whose file this is. */
  findByFile(identity: FileIdentity): Resource | undefined {
    for (const resource of this.resources()) {
      const { handle } = resource;
      if (handle.kind === "file" && sameFile(handle.identity, identity)) return resource;
    }
    return undefined;
  }

  /** Puts a lockspace back that an earlier life had. @returns it */
  restoreLockspace(path: string): Lockspace {
    return this.#directories.restore(path);
  }

  /** Puts a locked resource back; its descriptor's ownership passes to the table. */
  restoreResource(resource: Resource): void {
    const lockspace = this.#directories.get(resource.lockspace);
    if (lockspace === undefined) {
      throw new Error(`Restore resource ${resource.name}: lockspace '${resource.lockspace}' does not exist`);
    }
    if (lockspace.resources.has(resource.name)) {
      throw new Error(
        `Restore resource ${resource.name}: it appears twice in lockspace '${resource.lockspace}'`,
      );
    }
    this.#insert(lockspace, resource);
    this.#nextId = Math.max(this.#nextId, resource.id + 1);
  }

  /**
   * A lost lock is taken again at last.
   *
   * @param fd the locked descriptor, whose ownership passes to the table
   */
  seize(resource: Resource, fd: number, identity: FileIdentity): void {
    const { ledger, guard, observer } = this.#parts;
    const { handle, state } = resource;
    invariant(isMissing(state), `Seize ${resource.name}: it is ${state.kind}`);
    invariant(this.has(resource), `Seize ${resource.name}: it is not in the table`);
    resource.handle = { kind: "file", fd: ledger.own(fd, "lock"), identity, lock: "ofd" };
    resource.state = HELD;
    // Nothing is held by the old one, and its storage has just answered.
    if (handle.kind === "file") guard.close(handle.fd, handle.identity);
    else this.#closePlace(handle);
    observer.regained(resource);
  }

  /**
   * A lock is not held although its owner was told so.
   *
   * @param state awaited while its storage has not said whether it can be had again
   * @param how it was lost, as words behind its name
   */
  lose(resource: Resource, state: Extract<LockState, { kind: "awaited" | "lost" }>, how: string): void {
    const before = resource.state;
    invariant(before.kind !== "releasing", `Lose ${resource.name}: it is being released`);
    const { handle } = resource;
    const bound = handle.kind === "file" && handle.lock === "posix";
    invariant(!bound, `Lose ${resource.name}: the kernel has its POSIX lock as long as this process lives`);
    resource.state = state;
    this.#parts.observer.lost(resource, how);
  }

  /** Whether a resource is still in the table. */
  has(resource: Resource): boolean {
    return this.#directories.get(resource.lockspace)?.resources.get(resource.name) === resource;
  }

  /**
   * Notes how the kernel holds a lock now: by then it is so.
   *
   * @param state held or in doubt; a lock that is being released is left alone by its caller
   */
  recast(resource: Resource, lock: LockKind, state: LockState): void {
    const { handle } = resource;
    invariant(handle.kind === "file", `Recast ${resource.name}: it has no file`);
    invariant(!isMissing(state), `Recast ${resource.name}: it cannot be ${state.kind} then`);
    const { lock: before, identity } = handle;
    resource.handle = { ...handle, lock };
    resource.state = state;
    const { guard, observer } = this.#parts;
    // What was parked for the sake of a POSIX lock may be closed when that is none any more.
    if (before === "posix" && lock === "ofd") guard.unprotect(identity);
    if (before === "ofd" && lock === "posix") guard.protect(identity, resource.shared);
    observer.recast(resource);
  }

  /** Id the next resource will get; kept over re-exec and crash. */
  get nextId(): number {
    return this.#nextId;
  }

  set nextId(id: number) {
    this.#nextId = Math.max(this.#nextId, id);
  }

  /** Locks a resource's file. A lock directory that was deleted is made once more. */
  #lock(
    lockspace: Lockspace,
    name: string,
    options: AcquireOptions,
    owner: Owner,
    done: (outcome: LockFilesOutcome) => void,
    again = true,
  ): void {
    const { files, now } = this.#parts;
    const create = this.#directories.makesFile(lockspace, options.autocreate);
    const isDisk = lockspace.path === "";
    const request = {
      path: lockspace.fileOf(name),
      ...options,
      create,
      followLinks: isDisk,
      record: () => ownerRecord(owner, now()),
    };
    files.lock(request, (outcome) => {
      const gone = outcome.kind === "failed" && outcome.errno === ENOENT && create && !isDisk;
      if (!gone || !again) return done(outcome);
      files.makeDirectory(lockspace.path, (failure) => {
        if (failure !== undefined) return done(outcome);
        this.#lock(lockspace, name, options, owner, done, false);
      });
    });
  }

  /**
   * Somebody asks for a resource that is held.
   *
   * @param refuse called when its owners will keep it, or have not given it up in time
   * @param again called when it has changed hands, with the deadline for waiting on
   */
  #await(
    resource: Resource,
    deadline: number | undefined,
    refuse: () => void,
    again: (deadline: number) => void,
  ): void {
    if (!this.#isGoing(resource)) return refuse();
    const now = this.#parts.now();
    const until = deadline ?? now + this.#parts.patience();
    if (until <= now) return refuse();
    this.#waiting.add(resource, until - now, () => again(until), refuse);
  }

  /** Whether every owner of a resource is on its way out, or gone. */
  #isGoing(resource: Resource): boolean {
    const { settler, watch } = this.#parts;
    if (resource.state.kind !== "held") return resource.state.kind === "releasing";
    return resource.holdings.every(({ owner }) => {
      const key = ownerKey(owner);
      return this.#dying.has(key) || settler.isSettling(resource, key) || watch.hasEnded(key);
    });
  }

  /** The lockspace of a resource that is not locked, else why not. */
  #unlocked(path: string, name: string): Lockspace | Refusal {
    const lockspace = this.#directories.get(path);
    if (lockspace === undefined) return { kind: "lockspace-missing", path };
    const bad = lockspace.badName(name);
    if (bad !== undefined) return { kind: "bad-name", resource: name, reason: bad };
    const resource = lockspace.resources.get(name);
    if (resource !== undefined) return { kind: "held", resource: name, held: this.#report(resource) };
    const asker = lockspace.pending.get(name);
    if (asker !== undefined) return { kind: "pending", resource: name, owner: asker.name };
    return lockspace;
  }

  #locked(
    lockspace: Lockspace,
    name: string,
    options: AcquireOptions,
    owner: Owner,
    trail: GrantTrail,
    outcome: LockFilesOutcome,
    finish: Done,
  ): void {
    if (outcome.kind === "failed") {
      const { action, errno, target } = outcome;
      // That somebody holds it is the better answer.
      const held = target === undefined ? undefined : this.findByFile(target);
      if (held !== undefined) return finish({ kind: "held", resource: name, held: this.#report(held) });
      return finish({ kind: "system", action, errno });
    }
    if (outcome.kind === "storage") return finish(outcome);
    if (outcome.kind === "busy") {
      const path = lockspace.fileOf(name);
      return this.#parts.findHolder(path, outcome.identity, outcome.pid, (by) => {
        finish({ kind: "held-elsewhere", resource: name, by });
      });
    }
    const holding = { owner, since: this.#parts.now() };
    const resource: Resource = {
      id: this.#nextId++,
      lockspace: lockspace.path,
      name,
      path: lockspace.fileOf(name),
      handle: {
        kind: "file",
        fd: this.#parts.ledger.own(outcome.fd, "lock"),
        identity: outcome.identity,
        lock: "ofd",
      },
      shared: options.shared,
      autocreate: options.autocreate,
      // Made with its one element: pushed into an empty array it would have room for sixteen more.
      holdings: [holding],
      state: HELD,
    };
    if (this.#grantedWhilePaused(owner)) resource.regrant = "while-paused";
    this.#insert(lockspace, resource);
    const { observer } = this.#parts;
    observer.granted(resource, holding);
    const unparked = this.parked.granted(resource, owner, holding.since);
    if (unparked?.taken !== undefined) this.#unparked(resource, unparked.taken, owner);
    for (const used of unparked?.used ?? []) observer.parked(used);
    trail.granted(resource, unparked);
    finish(undefined);
  }

  #unparked(resource: Resource, parked: ParkedLock, owner: Owner): void {
    const { watch, opened, observer } = this.#parts;
    const process = parked.use === undefined ? undefined : watch.processOf(ownerKey(owner));
    // What it has not open was attached anew, and nothing of it is remembered.
    const attached = process === undefined || opened(process.pid, parked) === "not-open";
    if (parked.use !== undefined && !attached) observer.resumeUnjudged(resource, parked);
    observer.unparked(parked);
  }

  #refused(owner: Owner, refusal: Refusal, trail: GrantTrail): void {
    const { observer } = this.#parts;
    observer.refused(owner, refusal);
    const unused = trail.refused();
    this.parked.unused(unused);
    for (const parked of unused) observer.parked(parked);
  }

  /** A guest that is paused has nothing, and gets what is attached to it. */
  #grantedWhilePaused(owner: Owner): boolean {
    const key = ownerKey(owner);
    const [parked] = this.parked.of(key);
    return parked !== undefined &&
      [...this.#byOwner.get(key) ?? []].every(({ regrant }) => regrant === "while-paused");
  }

  /**
   * An owner that asks for what it has itself gets it, as one holding, if libvirt may not know that it has
   * it: else it would be refused for ever. Otherwise it is refused, because libvirt would take that for the
   * grant of a second use and release it.
   *
   * @returns whether it was granted
   */
  #regrant(resource: Resource, options: AcquireOptions, owner: Owner, trail: GrantTrail): boolean {
    const [holding] = resource.holdings;
    const own = holding !== undefined && isHeldBy(holding.owner, owner) && resource.state.kind === "held" &&
      !resource.shared && !options.shared;
    if (!own || !this.#mayNotKnow(resource, owner, trail)) return false;
    resource.regrant = undefined;
    this.#parts.observer.regranted(resource);
    return true;
  }

  #mayNotKnow(resource: Resource, owner: Owner, trail: GrantTrail): boolean {
    if (resource.regrant === "half-failed") return true;
    const { watch, opened } = this.#parts;
    const key = ownerKey(owner);
    const process = watch.processOf(key);
    if (process === undefined) return false;
    // A paused guest has its disks open still. What was detached it has not.
    const paused = resource.regrant === "while-paused" &&
      [...trail.taken, ...this.parked.of(key)].some((parked) => opened(process.pid, parked) === "open");
    return paused || opened(process.pid, { ...resource, ...identityField(resource.handle) }) === "not-open";
  }

  /** The parked lock of a guest that is resumed and must not be, because another one has used its disk. */
  #stale(lockspace: Lockspace, name: string, options: AcquireOptions, owner: Owner): ParkedLock | undefined {
    const parked = this.parked.find(lockspace.path, name, owner);
    if (parked?.use === undefined || options.shared || this.#parts.staleResumeAllowed()) return undefined;
    const process = this.#parts.watch.processOf(ownerKey(owner));
    if (process === undefined) return undefined;
    return this.#parts.opened(process.pid, parked) === "open" ? parked : undefined;
  }

  #insert(lockspace: Lockspace, resource: Resource): void {
    lockspace.resources.set(resource.name, resource);
    this.#resourceCount++;
    const { handle } = resource;
    if (handle.kind === "file" && handle.lock === "posix") {
      this.#parts.guard.protect(handle.identity, resource.shared);
    }
    for (const { owner } of resource.holdings) this.#index(owner, resource);
  }

  #index(owner: Owner, resource: Resource): void {
    const key = ownerKey(owner);
    const owned = this.#byOwner.get(key);
    if (owned === undefined) this.#byOwner.set(key, new Set([resource]));
    else owned.add(resource);
    if (owner.uuid === UNKNOWN_UUID) this.#nameless.add(key);
  }

  /** Takes a resource out of what an owner has, if no holding of it is left. */
  #unindex(owner: Owner, resource: Resource): void {
    const key = ownerKey(owner);
    if (resource.holdings.some((other) => ownerKey(other.owner) === key)) return;
    const owned = this.#byOwner.get(key);
    owned?.delete(resource);
    if (owned?.size !== 0) return;
    this.#byOwner.delete(key);
    this.#nameless.delete(key);
  }

  /**
   * Whoever asks first with the pid of an owner of whom nothing else is known tells who that is. Without a
   * pid nobody can.
   */
  #learn(asker: Owner): void {
    const key = ownerKey(asker);
    if (asker.uuid === UNKNOWN_UUID || !this.#nameless.delete(key)) return;
    for (const resource of this.ownedBy(key)) {
      resource.holdings.forEach(({ owner, since }, index) => {
        if (isHeldBy(owner, asker)) resource.holdings[index] = { owner: asker, since };
      });
      this.#parts.observer.learnt(resource);
    }
  }

  #addOwner(resource: Resource, owner: Owner): void {
    const holding = { owner, since: this.#parts.now() };
    resource.holdings.push(holding);
    this.#index(owner, resource);
    this.#parts.observer.granted(resource, holding);
  }

  #removeHolding(resource: Resource, holding: Holding): void {
    takeAt(resource.holdings, resource.holdings.indexOf(holding));
    this.#unindex(holding.owner, resource);
    const key = ownerKey(holding.owner);
    if (!resource.holdings.some(({ owner }) => ownerKey(owner) === key)) {
      this.#parts.settler.abandon(resource, key);
    }
    const last = resource.holdings.length === 0;
    if (last) {
      this.#directories.get(resource.lockspace)?.resources.delete(resource.name);
      this.#resourceCount--;
    }
    this.#parts.observer.released(resource, holding.owner, last);
    this.#waiting.wake(resource);
  }

  /**
   * @param force the owner's process is gone: the lock goes even if its file cannot be unlinked
   * @param waits whether somebody waits for the answer, who is told when slow storage takes its time
   */
  #takeOff(resource: Resource, holding: Holding, force: boolean, done: Done, waits = !force): void {
    if (resource.holdings.length > 1) {
      this.#removeHolding(resource, holding);
      return done(undefined);
    }
    if (resource.state.kind === "releasing") return done({ kind: "releasing", resource: resource.name });
    const { handle, path, shared, autocreate } = resource;
    if (handle.kind === "none") {
      // There is nothing to give up: whoever is taking it finds that it is not wanted any more.
      this.#closePlace(handle);
      this.#removeHolding(resource, holding);
      return done(undefined);
    }
    const { fd, lock, identity } = handle;
    // The file of a lost one may be locked by somebody else, who relies on its name.
    const unlinked = autocreate && !isMissing(resource.state);
    resource.state = { kind: "releasing" };
    let answered = false;
    const answer: Done = (refusal) => {
      if (!answered) done(refusal);
      answered = true;
    };
    const slow = waits ? answer : () => {};
    const request = { path, fd, lock, shared, autocreate: unlinked, force };
    this.#parts.files.unlock(request, identity, slow, (failure) => {
      if (failure !== undefined) this.#parts.observer.troubled(resource, failure);
      if (failure !== undefined && !failure.released) {
        resource.state = { kind: "doubtful", reason: failure.action };
        return answer(failure);
      }
      // Meanwhile it may have become known who the owner is.
      const { owner } = resource.holdings[0] ?? holding;
      this.#removeHolding(resource, resource.holdings[0] ?? holding);
      if (!force && !shared) this.#park(resource, owner);
      // Meanwhile it may have been made a POSIX lock.
      const { handle: last } = resource;
      if (last.kind === "file" && last.lock === "posix") this.#parts.guard.unprotect(last.identity);
      answer(undefined);
    });
  }

  /** libvirt has released it. If the process goes on, its guest is paused, or has let the disk go. */
  #park({ lockspace, name, path, handle }: Resource, owner: Owner): void {
    if (this.#parts.watch.processOf(ownerKey(owner)) === undefined) return;
    const parked = { lockspace, name, path, ...identityField(handle), owner, use: undefined };
    this.parked.park(parked);
    this.#parts.observer.parked(parked);
  }

  #closePlace({ place }: NoHandle): void {
    if (place >= 0) this.#parts.ledger.close(place);
  }

  #report(resource: Resource): HeldReport {
    const settling = this.#parts.settler.reasonOf(resource);
    return {
      name: resource.name,
      holdings: [...resource.holdings],
      dying: resource.holdings.some(({ owner }) => this.#dying.has(ownerKey(owner))),
      ...settling === undefined ? {} : { settling },
    };
  }
}
