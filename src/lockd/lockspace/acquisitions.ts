import { invariant } from "../../base/invariant.ts";
import { ENOENT, ESRCH } from "../../os/errno.ts";
import type { GrantTrail } from "./grant_trail.ts";
import type { HeldResources } from "./held_resources.ts";
import type { LockDirectories } from "./lock_directories.ts";
import type { LockRequest } from "./lock_file.ts";
import type { LockFilesOutcome } from "./lock_files.ts";
import type { LockReleases } from "./lock_releases.ts";
import { HELD } from "./lock_record.ts";
import type { AcquireOptions, LockTableParts } from "./lock_table_parts.ts";
import type { Lockspace } from "./lockspace.ts";
import { isHeldBy, type Owner, type OwnerKey, ownerKey, ownerRecord } from "./owner.ts";
import type { PausedGuests } from "./paused_guests.ts";
import type { Done, HeldReport, Refusal } from "./refusal.ts";
import { KeptResource, type Resource } from "./resource.ts";
import type { WaitingAsks } from "./waiting_asks.ts";

/** An ask for a lock. */
export interface LockAsk {
  /** Path of the lockspace, "" for the default one. */
  readonly path: string;
  readonly name: string;
  readonly options: AcquireOptions;
  readonly owner: Owner;
  /** What the connection was granted, over which it comes. */
  readonly trail: GrantTrail;
}

/** What acquiring works with. */
export interface AcquisitionsParts {
  readonly parts: LockTableParts;
  readonly directories: LockDirectories;
  readonly held: HeldResources;
  readonly paused: PausedGuests;
  readonly waiting: WaitingAsks;
  /** Whether an owner's process is being killed. */
  readonly isDying: (key: OwnerKey) => boolean;
  readonly report: (resource: Resource) => HeldReport;
  readonly releases: Pick<LockReleases, "handOver" | "replace">;
}

/** Locks resources for owners. It grants nothing that the kernel has not granted. */
export class Acquisitions {
  readonly #with: AcquisitionsParts;

  constructor(parts: AcquisitionsParts) {
    this.#with = parts;
  }

  /**
   * Locks a resource for an owner, or adds the owner to a shared one. Waits for a lock of
   * which all owners are on their way out.
   *
   * @param deadline until when, in Unix milliseconds; given when it has waited before
   */
  acquire(ask: LockAsk, done: Done, deadline?: number): void {
    const { path } = ask;
    const { directories } = this.#with;
    const lockspace = directories.get(path);
    if (lockspace?.origin === "registered") return this.#acquire(lockspace, ask, done, deadline);
    directories.adopt(path, (refusal) => {
      if (refusal !== undefined) {
        this.#refused(ask, refusal);
        return done(refusal);
      }
      const adopted = directories.get(path);
      invariant(adopted !== undefined, `Lockspace ${path} was adopted and is not there`);
      this.#acquire(adopted, ask, done, deadline);
    });
  }

  #acquire(lockspace: Lockspace, ask: LockAsk, done: Done, deadline: number | undefined): void {
    const { name, options, owner } = ask;
    const { directories, paused, isDying, parts } = this.#with;
    const finish: Done = (refusal) => {
      if (refusal !== undefined) this.#refused(ask, refusal);
      done(refusal);
    };
    const bad = lockspace.badName(name);
    if (bad !== undefined) return finish({ kind: "bad-name", resource: name, reason: bad });
    const misplaced = directories.misplaced(lockspace);
    if (misplaced !== undefined) return finish(misplaced);
    if (isDying(ownerKey(owner))) {
      return finish({ kind: "owner-dying", resource: name, pid: owner.pid });
    }
    this.#with.held.owned.learn(owner, (resource) => parts.observer.learnt(resource));
    const unwatched = parts.watch.begin(owner);
    if (unwatched !== undefined) {
      const { errno } = unwatched;
      const action = errno === ESRCH
        ? `Resource ${name} is not locked for process ${owner.pid}, which has ended`
        : `Unable to watch process ${owner.pid}, the owner of resource ${name}`;
      return finish({ kind: "system", action, errno });
    }
    // What was seen of the earlier process must not be overwritten: it tells when its writes are over.
    if (parts.settler.isWaitedFor(ownerKey(owner))) {
      return finish({ kind: "pid-settling", resource: name, pid: owner.pid });
    }
    const resource = lockspace.resources.get(name);
    if (resource !== undefined) return this.#held(ask, resource, deadline, finish, done);
    const stale = paused.stale(lockspace, name, options, owner);
    if (stale?.use !== undefined) {
      return finish({ kind: "used-meanwhile", resource: name, owner, use: stale.use });
    }
    const asker = lockspace.pending.get(name);
    if (asker !== undefined) return finish({ kind: "pending", resource: name, owner: asker.name });
    lockspace.pending.set(name, owner);
    const within = deadline === undefined ? {} : { within: Math.max(0, deadline - parts.now()) };
    this.#lock(lockspace, ask, within, (outcome) => {
      invariant(lockspace.pending.delete(name), "A lock was answered for which nobody waits");
      const ours = outcome.kind === "busy" ? this.#with.held.findByFile(outcome.identity) : undefined;
      if (ours === undefined) return this.#answered(lockspace, ask, outcome, finish);
      this.#await(ask, ours, deadline, finish, done);
    });
  }

  /** A resource that somebody has already. */
  #held(ask: LockAsk, resource: Resource, deadline: number | undefined, finish: Done, done: Done): void {
    const { options, owner, trail } = ask;
    const parked = resource.regrant === "parked" && resource.state.kind === "held";
    if (parked && resource.shared === options.shared && this.#isOwn(resource, owner)) {
      return this.#resume(ask, resource, finish);
    }
    if (resource.shared && options.shared && resource.state.kind === "held") {
      return this.#join(ask, resource, deadline, finish, done);
    }
    if (!this.#with.paused.mayRegrant(resource, options, owner, trail)) {
      return this.#await(ask, resource, deadline, finish, done);
    }
    this.#regrant(ask, resource, finish);
  }

  /** Somebody shares a lock with those that have it, where the other hosts grant that to this one. */
  #join(ask: LockAsk, resource: Resource, deadline: number | undefined, finish: Done, done: Done): void {
    const { releases, parts: { others } } = this.#with;
    let waited = false;
    const joined = (reason: string | undefined) => {
      if (reason !== undefined) return finish(notGranted(ask.name, reason));
      // Meanwhile it may have gone.
      if (waited) return this.acquire(ask, done, deadline);
      this.#addOwner(ask, resource);
      if (resource.regrant === "parked") releases.replace(resource);
      finish(undefined);
    };
    if (others === undefined) return joined(undefined);
    others.joins(resource.path, joined);
    waited = true;
  }

  /** An owner gets what it has: its guest may use it from now on, though it did not the first time. */
  #regrant({ name, owner, trail }: LockAsk, resource: Resource, finish: Done): void {
    const { paused, parts: { others, now } } = this.#with;
    const reason = others?.regrants(resource.path);
    if (reason !== undefined) return finish(notGranted(name, reason));
    trail.granted(resource, paused.regrant(resource, owner, trail, now()));
    finish(undefined);
  }

  /** Locks a resource's file. A lock directory that was deleted is made once more. */
  #lock(
    lockspace: Lockspace,
    ask: LockAsk,
    within: Pick<LockRequest, "within">,
    done: (outcome: LockFilesOutcome) => void,
    again = true,
  ): void {
    const { directories, paused, parts: { files, now, staleResumeAllowed } } = this.#with;
    const { name, options, owner, trail } = ask;
    const create = directories.makesFile(lockspace, options.autocreate);
    const isDisk = lockspace.path === "";
    const request = {
      path: lockspace.fileOf(name),
      ...options,
      ...within,
      create,
      followLinks: isDisk,
      record: () => ownerRecord(owner, now()),
      owner,
      resumed: () => !staleResumeAllowed(owner) && paused.mayResume(owner, trail),
    };
    files.lock(request, (outcome) => {
      const gone = outcome.kind === "failed" && outcome.errno === ENOENT && create && !isDisk;
      if (!gone || !again) return done(outcome);
      files.makeDirectory(lockspace.path, (failure) => {
        if (failure !== undefined) return done(outcome);
        this.#lock(lockspace, ask, within, done, false);
      });
    });
  }

  /** Somebody asks for a resource that is held: waits if its owners are on their way out. */
  #await(ask: LockAsk, resource: Resource, deadline: number | undefined, finish: Done, done: Done): void {
    const { waiting, parts: { now, patience } } = this.#with;
    const refuse = () => {
      finish({ kind: "held", resource: ask.name, held: this.#with.report(resource) });
    };
    // What cannot be given up now stays its guest's, who may go on at any time.
    const given = this.#with.parts.others?.gives() !== false;
    if (resource.regrant === "parked" && given) this.#with.releases.handOver(resource);
    // It may have gone at once.
    if (resource.holdings.length === 0) return this.acquire(ask, done, deadline);
    if (!this.isGoing(resource)) return refuse();
    const time = now();
    const until = deadline ?? time + patience();
    if (until <= time) return refuse();
    waiting.add(resource, until - time, () => this.acquire(ask, done, until), refuse);
  }

  /** Whether every owner of a resource is on its way out, or gone. */
  isGoing(resource: Resource): boolean {
    const { isDying, parts: { settler, watch } } = this.#with;
    switch (resource.state.kind) {
      case "releasing":
        return true;
      case "held":
      // One in doubt goes with its guest as well.
      case "doubtful":
        break;
      default:
        // What is lost, or waits for its storage, may stay for as long as that hangs.
        return false;
    }
    return resource.holdings.every(({ owner }) => {
      const key = ownerKey(owner);
      return isDying(key) || settler.isSettling(resource, key) || watch.hasEnded(key);
    });
  }

  #answered(lockspace: Lockspace, ask: LockAsk, outcome: LockFilesOutcome, finish: Done): void {
    const { held, report, parts } = this.#with;
    const { name } = ask;
    if (outcome.kind === "failed") {
      const { action, errno, target } = outcome;
      // That somebody holds it is the better answer.
      const other = target === undefined ? undefined : held.findByFile(target);
      if (other !== undefined) return finish({ kind: "held", resource: name, held: report(other) });
      return finish({ kind: "system", action, errno });
    }
    if (outcome.kind === "storage") return finish(outcome);
    if (outcome.kind === "used") {
      return finish({ kind: "used-meanwhile", resource: name, owner: ask.owner, use: outcome.use });
    }
    if (outcome.kind === "elsewhere") {
      return finish({ kind: "held-elsewhere", resource: name, by: outcome.by });
    }
    if (outcome.kind === "busy") {
      const path = lockspace.fileOf(name);
      return parts.findHolder(path, outcome.identity, outcome.pid, (by) => {
        finish({ kind: "held-elsewhere", resource: name, by });
      });
    }
    const strayed = this.#with.directories.strayed(lockspace, outcome.identity);
    if (strayed !== undefined) return this.#giveBack(lockspace, ask, outcome, () => finish(strayed));
    this.#granted(lockspace, ask, outcome);
    finish(undefined);
  }

  #isOwn({ holdings: [holding] }: Resource, owner: Owner): boolean {
    return holding !== undefined && isHeldBy(holding.owner, owner);
  }

  /** A guest is resumed whose lock was kept: nobody has had it meanwhile, and nobody has to be asked. */
  #resume({ name, owner, trail }: LockAsk, resource: Resource, finish: Done): void {
    const { paused, parts: { others, observer, now } } = this.#with;
    const reason = others?.withheld(resource.path) ?? others?.regrants(resource.path);
    if (reason !== undefined) return finish(notGranted(name, reason));
    paused.getting(owner, trail);
    resource.regrant = undefined;
    observer.givenBack(resource);
    trail.granted(resource, paused.granted(resource, owner, now()));
    finish(undefined);
  }

  /**
   * A lock that was made where none must be goes again.
   *
   * @param done called once, when it has gone or storage does not answer
   */
  #giveBack(
    lockspace: Lockspace,
    { name, options: { shared, autocreate }, owner }: LockAsk,
    { fd, identity }: Extract<LockFilesOutcome, { kind: "granted" }>,
    done: () => void,
  ): void {
    const path = lockspace.fileOf(name);
    let told = false;
    const once = () => {
      if (!told) done();
      told = true;
    };
    // Who asks may be a guest that was paused, and still is.
    const request = { path, fd, lock: "ofd", shared, autocreate, force: true, paused: owner } as const;
    this.#with.parts.others?.unused(path);
    this.#with.parts.files.unlock(request, identity, once, once);
  }

  /** The kernel has given the lock. */
  #granted(
    lockspace: Lockspace,
    ask: LockAsk,
    outcome: Extract<LockFilesOutcome, { kind: "granted" }>,
  ): void {
    const { held, paused, parts: { ledger, observer, now } } = this.#with;
    const { name, options, owner, trail } = ask;
    invariant(outcome.fd >= 0, "A lock was granted without a descriptor");
    const holding = { owner, since: now() };
    const resource = new KeptResource({
      id: held.newId(),
      lockspace: lockspace.path,
      name,
      handle: {
        kind: "file",
        fd: ledger.own(outcome.fd, "lock"),
        identity: outcome.identity,
        lock: "ofd",
      },
      shared: options.shared,
      autocreate: options.autocreate,
      // Made with its one element: pushed into an empty array it would have room for sixteen more.
      holdings: [holding],
      state: HELD,
    });
    paused.getting(owner, trail);
    if (paused.isAttached(owner)) resource.regrant = "while-paused";
    held.insert(lockspace, resource);
    observer.granted(resource, holding);
    trail.granted(resource, paused.granted(resource, owner, holding.since));
  }

  #refused({ path, name, owner, trail }: LockAsk, refusal: Refusal): void {
    this.#with.parts.observer.refused(owner, refusal);
    this.#with.paused.refused(path, name, owner, trail);
  }

  #addOwner({ owner, trail }: LockAsk, resource: Resource): void {
    const { held, paused, parts: { now, observer } } = this.#with;
    paused.getting(owner, trail);
    const holding = { owner, since: now() };
    resource.holdings.push(holding);
    held.owned.add(owner, resource);
    observer.granted(resource, holding);
    trail.granted(resource);
  }
}

function notGranted(name: string, reason: string): Refusal {
  return { kind: "storage", action: `Unable to acquire lock on resource ${name}`, reason };
}
