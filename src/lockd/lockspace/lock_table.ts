import { invariant } from "../../base/invariant.ts";
import { Acquisitions } from "./acquisitions.ts";
import { AskedReleases } from "./asked_releases.ts";
import { DyingOwners } from "./dying_owners.ts";
import type { FileIdentity } from "./file_identity.ts";
import { GrantTrail } from "./grant_trail.ts";
import { HandedOver } from "./handed_over.ts";
import { HeldResources } from "./held_resources.ts";
import { KernelLocks } from "./kernel_locks.ts";
import { LockDirectories } from "./lock_directories.ts";
import type { LockKind } from "./lock_file.ts";
import type { LockState } from "./lock_record.ts";
import { LockReleases } from "./lock_releases.ts";
import type { AcquireOptions, LockTableParts } from "./lock_table_parts.ts";
import type { Lockspace } from "./lockspace.ts";
import { type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import type { ParkedLocks } from "./parked_locks.ts";
import { PausedGuests } from "./paused_guests.ts";
import type { Done, HeldReport, Refusal } from "./refusal.ts";
import type { Resource } from "./resource.ts";
import { ResourceFiles } from "./resource_files.ts";
import { WaitingAsks } from "./waiting_asks.ts";

/**
 * The lock core: all lockspaces, their resources, and who owns what. docs/protocol.md, Lock program.
 *
 * It grants nothing that the kernel has not granted: the table only adds owners to shared locks and refuses
 * early.
 */
export class LockTable {
  readonly #parts: LockTableParts;
  readonly #directories: LockDirectories;
  readonly #held: HeldResources;
  readonly #askedReleases: AskedReleases;
  readonly #acquisitions: Acquisitions;
  readonly #handedOver: HandedOver;
  readonly #paused: PausedGuests;
  readonly #kernel: KernelLocks;
  readonly #dying: DyingOwners;
  readonly #resourceFiles: ResourceFiles;
  readonly #waiting: WaitingAsks;

  constructor(parts: LockTableParts) {
    this.#parts = parts;
    this.#directories = new LockDirectories(parts);
    this.#waiting = new WaitingAsks(parts.loop);
    this.#held = new HeldResources(this.#directories, parts.guard);
    this.#paused = new PausedGuests(parts, this.#held.owned);
    this.#kernel = new KernelLocks(parts);
    const releases = new LockReleases({
      parts,
      held: this.#held,
      kernel: this.#kernel,
      paused: this.#paused,
      waiting: this.#waiting,
    });
    this.#dying = new DyingOwners({ held: this.#held, releases, settler: parts.settler });
    const report = (resource: Resource) => this.#report(resource);
    this.#resourceFiles = new ResourceFiles({ directories: this.#directories, files: parts.files, report });
    this.#askedReleases = new AskedReleases({
      parts,
      directories: this.#directories,
      held: this.#held,
      paused: this.#paused,
      releases,
      waiting: this.#waiting,
      isDying: (key) => this.#dying.has(key),
      report,
    });
    this.#acquisitions = new Acquisitions({
      parts,
      directories: this.#directories,
      held: this.#held,
      paused: this.#paused,
      waiting: this.#waiting,
      isDying: (key) => this.#dying.has(key),
      report,
      releases,
    });
    const isGoing = (resource: Resource) => this.#acquisitions.isGoing(resource);
    this.#handedOver = new HandedOver({ held: this.#held, paused: this.#paused, releases, isGoing });
  }

  /** All lockspaces, the default one ("") first. */
  get lockspaces(): ReadonlyMap<string, Lockspace> {
    return this.#directories.all;
  }

  /** What was released for owners whose process goes on. */
  get parked(): ParkedLocks {
    return this.#paused.parked;
  }

  /** How many resources are locked. */
  get resourceCount(): number {
    return this.#held.count;
  }

  /** Every locked resource. */
  resources(): Generator<Resource> {
    return this.#held.all();
  }

  /** Resources that an owner has. */
  ownedBy(key: OwnerKey): readonly Resource[] {
    return this.#held.owned.of(key);
  }

  /** How many resources an owner has. */
  ownedCount(key: OwnerKey): number {
    return this.#held.owned.count(key);
  }

  /** Whether an owner has anything. */
  owns(key: OwnerKey): boolean {
    return this.#held.owned.has(key);
  }

  /** Everybody who owns anything. */
  get owners(): Iterable<OwnerKey> {
    return this.#held.owned.owners;
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
    this.#dying.mark(key);
  }

  /** Whether the owner's process is being killed. */
  isDying(key: OwnerKey): boolean {
    return this.#dying.has(key);
  }

  /** Whether an owner's guest has not run with what it has: {@link PausedGuests.hasNotRun}. */
  hasNotRun(owner: Owner): boolean {
    return this.#paused.hasNotRun(owner);
  }

  /** Why a lock stays although the process of an owner is gone; undefined when none is. */
  settling(resource: Resource): string | undefined {
    return this.#parts.settler.reasonOf(resource);
  }

  /** Why nothing may be locked in a lockspace now: its directory is not where it was. */
  misplaced(path: string): Extract<Refusal, { kind: "misplaced" }> | undefined {
    const lockspace = this.#directories.get(path);
    return lockspace === undefined ? undefined : this.#directories.misplaced(lockspace);
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
    this.#resourceFiles.create(path, name, done);
  }

  /** DELETE_RESOURCE: unlinks the file. */
  deleteResource(path: string, name: string, done: Done): void {
    this.#resourceFiles.remove(path, name, done);
  }

  /** ACQUIRE_RESOURCE: {@link Acquisitions.acquire}. */
  acquire(
    path: string,
    name: string,
    options: AcquireOptions,
    owner: Owner,
    done: Done,
    trail: GrantTrail = new GrantTrail(),
  ): void {
    this.#acquisitions.acquire({ path, name, options, owner, trail }, done);
  }

  /** RELEASE_RESOURCE: {@link AskedReleases.release}. */
  release(path: string, name: string, owner: Owner, done: Done): void {
    this.#askedReleases.release(path, name, owner, done);
  }

  /** Somebody may have had a lock of this host: {@link HandedOver.partWith}. */
  partWith(path: string): boolean {
    return this.#handedOver.partWith(path);
  }

  /** A guest of another host asks for a lock of this one: {@link HandedOver.askedFor}. */
  askedFor(path: string, uuid: string): boolean {
    return this.#handedOver.askedFor(path, uuid);
  }

  /** Goes on with what an earlier life was handing over: {@link HandedOver.resumeAll}. */
  resumeHandOvers(): void {
    this.#handedOver.resumeAll();
  }

  /**
   * A connection has ended: what it was granted before it was refused something, its owner may not know of.
   */
  abandon(trail: GrantTrail): void {
    for (const resource of trail.end()) {
      if (resource.holdings.length === 0 || resource.shared) continue;
      // Its owner has released it since, and other hosts may have it.
      if (resource.regrant === "parked" || resource.regrant === "leaving") continue;
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
   * Releases everything an owner has: {@link DyingOwners.releaseAll}. {@link HolderReaper.free} is who calls
   * it.
   */
  releaseAll(key: OwnerKey, done: () => void): void {
    this.#dying.releaseAll(key, done);
  }

  /** A locked resource by its name. */
  find(path: string, name: string): Resource | undefined {
    return this.#held.find(path, name);
  }

  /** Takes an owner off a resource that did not ask for that: {@link DyingOwners.giveUp}. */
  giveUp(resource: Resource, owner: Owner, done: Done): void {
    this.#dying.giveUp(resource, owner, done);
  }

  /** The resource of this daemon, if any, whose file this is. */
  findByFile(identity: FileIdentity): Resource | undefined {
    return this.#held.findByFile(identity);
  }

  /** Puts a lockspace back that an earlier life had. @returns it */
  restoreLockspace(path: string): Lockspace {
    return this.#directories.restore(path);
  }

  /** Puts a locked resource back, with its descriptor: {@link HeldResources.restore}. */
  restoreResource(resource: Resource): void {
    this.#held.restore(resource);
  }

  /**
   * A lost lock is taken again at last.
   *
   * @param fd the locked descriptor, whose ownership passes to the table
   */
  seize(resource: Resource, fd: number, identity: FileIdentity): void {
    this.#mustHave(resource);
    this.#kernel.seize(resource, fd, identity);
    this.#handedOver.resume(resource);
  }

  /** A lock is not held although its owner was told so: {@link KernelLocks.lose}. */
  lose(resource: Resource, state: Extract<LockState, { kind: "awaited" | "lost" }>, how: string): void {
    this.#mustHave(resource);
    this.#kernel.lose(resource, state, how);
  }

  /** The file of a lost lock is the wrong one: {@link KernelLocks.letGo}. */
  letGo(resource: Resource, place: number): void {
    this.#mustHave(resource);
    this.#kernel.letGo(resource, place);
  }

  /** Notes how the kernel holds a lock now: {@link KernelLocks.recast}. */
  recast(resource: Resource, lock: LockKind, state: LockState): void {
    this.#mustHave(resource);
    this.#kernel.recast(resource, lock, state);
  }

  #mustHave(resource: Resource): void {
    invariant(this.has(resource), `Resource ${resource.name} is not in the table`);
  }

  /** Whether a resource is still in the table. */
  has(resource: Resource): boolean {
    return this.#held.has(resource);
  }

  /** Id the next resource will get; kept over re-exec and crash. */
  get nextId(): number {
    return this.#held.nextId;
  }

  set nextId(id: number) {
    this.#held.nextId = id;
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
