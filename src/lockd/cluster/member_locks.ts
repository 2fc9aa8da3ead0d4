import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { OtherHosts } from "../lockspace/other_hosts.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { ClusterParts } from "./cluster_parts.ts";
import type { Etcd } from "./etcd/etcd.ts";
import type { SilentHost } from "./fencing/host_fencing.ts";
import { mayLive } from "./host/process_lives.ts";
import { BlockDevices } from "./keys/block_devices.ts";
import type { ClusterKeys } from "./keys/keys.ts";
import { holderOf } from "./keys/lock_holder.ts";
import type { Lineage } from "./keys/lineage.ts";
import type { ClusterNames } from "./keys/names.ts";
import { AskedLocks } from "./locks/asked_locks.ts";
import { ClusterLockFiles } from "./locks/cluster_lock_files.ts";
import { ClusterLocks } from "./locks/cluster_locks.ts";
import { FencedLocks } from "./locks/fenced_locks.ts";
import { GrantedLocks } from "./locks/granted_locks.ts";
import { HolderNames } from "./locks/holder_names.ts";
import { KeptLocks } from "./locks/kept_locks.ts";
import { LockTurns } from "./locks/lock_turns.ts";
import { Orphans } from "./locks/orphans.ts";
import { PausedMarks } from "./locks/paused_marks.ts";
import { UngrantedTries, type UngrantedTry } from "./locks/ungranted_tries.ts";
import { Wants } from "./locks/wants.ts";
import { GivenUpLocks } from "./reconcile/given_up_locks.ts";
import { HeldLocks } from "./reconcile/held_locks.ts";
import { KeyCheck, type KeyCheckParts } from "./reconcile/key_check.ts";
import { KeyWatch } from "./reconcile/key_watch.ts";
import type { LostGuests } from "./reconcile/lost_guests.ts";
import { LostLocks, type LostLocksParts } from "./reconcile/lost_locks.ts";
import { hasLeft } from "./reconcile/lost_marks.ts";
import { Reconciliation } from "./reconcile/reconciliation.ts";
import { isAnothers } from "./session/doubts.ts";
import type { ClusterSession } from "./session/session.ts";
import type { SessionParts } from "./session/session_parts.ts";
import type { KeyLook } from "./session/session_proof.ts";

/** What a member locks with. */
export interface MemberLocksParts {
  readonly parts: ClusterParts;
  readonly session: ClusterSession;
  readonly link: Pick<Etcd, "unreachable">;
  readonly keys: ClusterKeys;
  readonly names: ClusterNames;
  /** Whether block devices are locked for all hosts too. */
  readonly devices: boolean;
  /** This host's name. */
  readonly host: string;
  /** The daemons of which this one is. */
  readonly lineage: Lineage;
  /** Guests whose lock another host has got. */
  readonly lostGuests: LostGuests;
  /** Told that somebody asks for a lock of a host that is not heard of. */
  readonly silent: (host: SilentHost, reason: string) => void;
}

/** A member's locks, and all that looks after them. */
export class MemberLocks {
  readonly #parts: MemberLocksParts;
  readonly #tries: UngrantedTries;
  readonly #granted: GrantedLocks;
  readonly #lives: (pid: number, start: number) => boolean;
  readonly #marks: PausedMarks;
  readonly #fencedLocks: FencedLocks;
  readonly #turns: LockTurns;
  readonly #locks: ClusterLocks;
  readonly #orphans: Orphans;
  readonly #kept: KeptLocks;
  readonly #heldLocks: HeldLocks;
  /** Whether this host was made to leave before; undefined: it was not looked yet. */
  #hasLeft: boolean | undefined;
  readonly #check: KeyCheck;
  /** The lock core's file operations. */
  readonly files: ClusterLockFiles;

  constructor(memberParts: MemberLocksParts) {
    this.#parts = memberParts;
    const { parts, session, keys, lineage } = memberParts;
    const { sys, loop, lastWrites } = parts;
    const tries = this.#tries = new UngrantedTries(parts.tries, parts.triesChanged);
    this.#granted = new GrantedLocks(tries);
    this.#lives = (pid, start) => mayLive(sys, pid, start);
    this.#marks = new PausedMarks({ session, loop, lives: this.#lives });
    this.#fencedLocks = new FencedLocks({ session, keys });
    const nonce = lineage.attempt;
    this.#turns = new LockTurns({ session, keys, nonce, loop, marks: this.#marks, tries });
    this.#locks = this.#newLocks();
    this.#orphans = new Orphans({
      give: (lock, done) => this.#turns.give(lock, () => done()),
      busy: (key) => this.#turns.busy(key),
      whenGone: (lock, gone) => this.#turns.whenGone(lock, gone),
      loop,
      lives: this.#lives,
      lastWrites,
    });
    this.#kept = this.#newKept();
    this.#heldLocks = new HeldLocks({ session, keys, fencedLocks: this.#fencedLocks });
    this.#check = new KeyCheck({ ...this.#watched(), partWith: parts.partWith });
    this.files = this.#newFiles();
  }

  /** What etcd has for this host. */
  get granted(): Pick<GrantedLocks, "of" | "count"> {
    return this.#granted;
  }

  /** What the next daemon is to go on with of locks that were granted to nobody. */
  get tries(): readonly UngrantedTry[] {
    return this.#tries.all;
  }

  get others(): OtherHosts {
    return this.#kept;
  }

  /** How many locks are being given back. */
  get releasing(): number {
    return this.#turns.releasing;
  }

  /** How many paused guests have left a mark where their lock was. */
  get left(): number {
    return this.#marks.size;
  }

  /** How many locks etcd has for processes of which the daemon knows nothing. */
  get unknown(): number {
    return this.#orphans.size;
  }

  /** How many locks others have got that were given up by somebody's word. */
  get lost(): number {
    return [...this.#parts.parts.resources()].filter(({ path, state }) =>
      this.#parts.names.of(path) !== undefined && isAnothers(state)
    ).length;
  }

  /** Whether some of these are about to be given back. */
  get givesBack(): boolean {
    return this.#orphans.leaving > 0;
  }

  /** See {@link SessionParts.look}. */
  look(): KeyLook | undefined {
    return this.#check.look();
  }

  /** Begins to answer other hosts, and to look whether etcd still has what this one holds. */
  begin(): void {
    const { parts, session, keys, lostGuests, lineage } = this.#parts;
    const { loop } = parts;
    session.whenKnown(() => this.#kept.known());
    new AskedLocks({ session, keys, granted: this.#granted, kept: this.#kept, loop }).begin();
    new KeyWatch({
      session,
      keys,
      check: this.#check,
      granted: this.#granted,
      orphans: this.#orphans,
      marks: this.#marks,
      turns: this.#turns,
      loop,
    }).begin();
    new LostLocks({
      ...this.#watched(),
      heldLocks: this.#heldLocks,
      guests: lostGuests,
      nonce: lineage.attempt,
    })
      .begin();
    new GivenUpLocks({ ...this.#watched(), guests: lostGuests }).begin();
  }

  /** See {@link SessionParts.gaveUp}. */
  gaveUp(doubt: string): void {
    const { parts: { resources, observer }, names } = this.#parts;
    for (const resource of resources()) {
      if (names.of(resource.path) === undefined) continue;
      this.#granted.drop(resource.path);
      observer.clusterDoubtful(resource, doubt);
    }
  }

  /** See {@link SessionParts.marksGone}. What was kept for its guest others may have too from then on. */
  marksGone(): void {
    const { paused, overtaken } = this.#parts.parts;
    for (const guest of [...paused()]) {
      if (this.files.nameOfPaused(guest.path) !== undefined) overtaken(guest);
    }
  }

  /**
   * A lock is about to be had again whose file could not be opened at the start. What etcd has for it was
   * kept for a process of which nothing else was known; what that does not have is put in.
   */
  found(
    { lockspace, path, shared, holdings: [holding] }: Resource,
    fd: number,
    identity: FileIdentity,
  ): void {
    const { parts: { markOf }, session, keys, names } = this.#parts;
    if (lockspace !== "" || holding === undefined || this.files.recognise(path) !== undefined) return;
    const device = this.files.learn(path, fd, identity);
    if (device?.kind !== "shared") return;
    const { owner, since } = holding;
    const key = keys.lock(device.name, shared, session.id);
    // Of a share that is known others may have to be told first.
    const kept = shared ? undefined : this.#orphans.take(key, holderOf(owner, markOf(owner), since));
    if (kept !== undefined) return this.#granted.adopt(path, kept);
    session.whenLive(Infinity, () => {
      const isThere = names.of(path) !== undefined && this.#granted.of(path) === undefined;
      if (isThere) session.putInAgain(`it is known by now which device ${path} is`);
    }, () => {});
  }

  /** Puts in order what etcd has of this session: {@link SessionParts.reconcile}. */
  readonly reconcile: SessionParts["reconcile"] = (epoch, done, past) => {
    const { parts, session, keys, names, lineage } = this.#parts;
    const { resources, paused, markOf, observer } = parts;
    // Once: what tells it may be given up by what follows.
    this.#hasLeft ??= hasLeft(resources(), paused());
    new Reconciliation({
      heldLocks: this.#heldLocks,
      session,
      keys,
      names,
      nameOfPaused: (path) => this.files.nameOfPaused(path),
      granted: this.#granted,
      paused,
      partWith: parts.partWith,
      resources,
      markOf,
      lives: this.#lives,
      turns: this.#turns,
      nonce: lineage.attempt,
      lineage,
      orphans: this.#orphans,
      marks: this.#marks,
      tries: this.#tries,
      observer,
    }).run(epoch, done, past === "first" && this.#hasLeft ? "known" : past);
  };

  #newLocks(): ClusterLocks {
    const { parts, session, keys, host, lineage, silent } = this.#parts;
    const { sys, loop, wait, now, recorded } = parts;
    const clock = () => sys.monotonic();
    return new ClusterLocks({
      turns: this.#turns,
      names: new HolderNames({ session, keys, now }),
      fencedLocks: this.#fencedLocks,
      silent,
      session,
      keys,
      lineage,
      loop,
      clock,
      lives: this.#lives,
      orphans: () => this.#orphans,
      held: (key) => this.#granted.holds(key),
      host,
      wants: new Wants({ session, keys, nonce: lineage.attempt, loop, clock, wait }),
      marks: this.#marks,
      tries: this.#tries,
      recorded,
    });
  }

  #newFiles(): ClusterLockFiles {
    const { parts, session, names, devices } = this.#parts;
    const { sys, loop, now, markOf, patience, files, mayHang, recorded } = parts;
    return new ClusterLockFiles({
      files,
      names,
      devices: devices ? new BlockDevices(sys) : undefined,
      mayHang,
      locks: this.#locks,
      turns: this.#turns,
      granted: this.#granted,
      kept: this.#kept,
      loop,
      clock: () => sys.monotonic(),
      now,
      patience,
      joining: () => session.joining,
      markOf,
      recorded,
      whenKnown: (ready) => session.whenKnown(ready),
    });
  }

  #newKept(): KeptLocks {
    const { parts, session, link, names, keys } = this.#parts;
    const { sys, markOf, now, recorded, askedFor, patience } = parts;
    return new KeptLocks({
      granted: this.#granted,
      names,
      keys,
      turns: this.#turns,
      tries: this.#tries,
      markOf,
      now,
      recorded,
      askedFor,
      whenKnown: (ready) => session.whenLive(sys.monotonic() + patience(), () => ready(undefined), ready),
      isMarked: (key) => this.#marks.has(key),
      live: () => session.state.kind === "live" && link.unreachable === undefined,
      lost: () => session.withheld,
    });
  }

  /** What is needed to look now and then what etcd has. */
  #watched(): Omit<KeyCheckParts, "partWith"> & Omit<LostLocksParts, "heldLocks" | "guests" | "nonce"> {
    const { parts, session, keys, names } = this.#parts;
    const { loop, resources, markOf, observer } = parts;
    return {
      session,
      keys,
      names,
      granted: this.#granted,
      turns: this.#turns,
      resources,
      markOf,
      loop,
      observer,
    };
  }
}
