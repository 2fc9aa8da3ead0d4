import { clientKey } from "../../chassis/rpc/client_key.ts";
import type { Connection } from "../../chassis/rpc/connection.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import type { ClientObserver, RpcServer } from "../../chassis/rpc/server.ts";
import type { KeptObject } from "../../chassis/journal/descriptor_keeper.ts";
import type { DurableLog } from "../../chassis/journal/durable_log.ts";
import type { Recording } from "../../chassis/journal/log_writer.ts";
import { invariant } from "../../base/invariant.ts";
import type { DyingHolder, EndedOwner, ReaperObserver } from "../lockspace/holder_reaper.ts";
import type { LockObserver } from "../lockspace/lock_observer.ts";
import type { Holding, Owner } from "../lockspace/owner.ts";
import type { ProcessMark } from "../lockspace/owner_watch.ts";
import type { ParkedLock } from "../lockspace/parked_locks.ts";
import type { Resource } from "../lockspace/resource.ts";
import { slotName } from "./descriptor_names.ts";
import type { HoldingRecord, JournaledLock, OwnerRecord } from "./journaled_lock.ts";
import type { Operation, ParkedRecord } from "./operations.ts";
import type { StoredObject } from "./recovered.ts";
import { clientKind, type SlotKind, Slots } from "./slots.ts";

/** A session of the lock program, as far as the journal looks at it. */
interface SessionLike {
  readonly peer: Peer;
  readonly owner: Owner | undefined;
}

/** The events that are recorded. */
export type RecordedObserver =
  & Pick<
    LockObserver,
    | "lockspaceCreated"
    | "granted"
    | "released"
    | "learnt"
    | "recast"
    | "lost"
    | "regained"
    | "troubled"
    | "regranted"
    | "wentOn"
    | "regrantable"
    | "kept"
    | "givenBack"
    | "leaving"
  >
  & Pick<LockObserver, "parked" | "unparked">
  & Pick<ReaperObserver, "dying" | "gone" | "settled">
  & Pick<ClientObserver, "connected" | "disconnected">
  & { registered(session: SessionLike): void; restricted(session: SessionLike): void };

/** What a recorder works with. */
export interface LockRecorderParts {
  readonly log: DurableLog<Operation>;
  /** Slots that are taken from an earlier life on. */
  readonly slots: readonly StoredObject[];
  /** The process of an owner, as {@link HolderReaper.markOf}. */
  readonly markOf: (owner: Owner) => ProcessMark;
}

/** Something to be stored. */
export interface WantedObject {
  readonly kind: SlotKind;
  readonly id: number;
  /** Stays the caller's. */
  readonly fd: number;
}

/** An owner's process is gone: known until all that it had is released, which may take a while. */
export function endedOperation({ pid, key }: EndedOwner): Operation {
  return { op: "dying", pid, key, since: 0, killed: true };
}

/**
 * What the lock daemon records: turns its events into operations of a durable log, and has the descriptors of
 * locks, clients and dying holders kept, each in a slot of the store.
 */
export class LockRecorder {
  /** Where it records. */
  readonly log: DurableLog<Operation>;
  readonly #markOf: LockRecorderParts["markOf"];
  readonly #owners = new WeakMap<Owner, OwnerRecord>();
  readonly #keys = new WeakMap<Peer, number>();
  /** Owners whose process was looked for since the snapshot that is being written was begun. */
  #sought: Set<Owner> | undefined;
  readonly #slots: Record<SlotKind, Slots> = {
    "lock": new Slots(),
    "lock client": new Slots(),
    "admin client": new Slots(),
    "dying holder": new Slots(),
  };

  constructor({ log, slots, markOf }: LockRecorderParts) {
    this.log = log;
    this.#markOf = markOf;
    for (const { kind, id, index } of slots) this.#slots[kind].restore(id, index);
  }

  /** What it observes; to be told before anybody else. */
  readonly observer: RecordedObserver = {
    lockspaceCreated: (path) => this.log.add({ op: "lockspace", path }),
    granted: (resource, holding) => this.#granted(resource, holding),
    released: (resource, owner, last) => {
      this.log.add({ op: "release", id: resource.id, pid: owner.pid, uuid: owner.uuid, last });
      if (last) this.#drop("lock", resource.id);
    },
    recast: (resource) => this.#anew(resource),
    lost: (resource) => {
      // What the store has of it is no lock any more, and must not be taken for that of a later descriptor.
      this.#drop("lock", resource.id);
      this.#anew(resource);
    },
    regained: (resource) => {
      this.#wantLock(resource);
      this.#anew(resource);
    },
    learnt: (resource) => this.#anew(resource),
    regranted: (resource) => this.#anew(resource),
    wentOn: (resource) => this.#anew(resource),
    regrantable: (resource) => this.#anew(resource),
    kept: (resource) => this.#anew(resource),
    givenBack: (resource) => this.#anew(resource),
    leaving: (resource) => this.#anew(resource),
    parked: (parked) => this.log.add({ op: "parked", ...this.parkedRecord(parked) }),
    unparked: (parked) => this.log.add({ op: "unparked", ...this.parkedRecord(parked) }),
    troubled: (resource, failure) => {
      if (!failure.released) this.log.add({ op: "doubtful", id: resource.id, reason: failure.action });
    },
    dying: (holder) => this.#dying(holder),
    gone: (owner) => {
      this.#drop("dying holder", owner.pid);
      this.log.add(endedOperation(owner));
    },
    settled: ({ pid }) => this.log.add({ op: "settled", pid }),
    connected: (server, connection) => this.#connected(server, connection),
    disconnected: (server, { key }) => {
      this.log.disconnected(key);
      this.#drop(clientKind(server.ordinal), key);
    },
    registered: ({ peer, owner }) => {
      if (owner === undefined) return;
      this.log.add({ op: "owner", key: this.#keyOf(peer), owner: this.ownerRecord(owner) });
    },
    restricted: ({ peer }) => this.log.add({ op: "restricted", key: this.#keyOf(peer) }),
  };

  /**
   * Begins to record.
   *
   * @param objects what the store has to have; what it has already is not sent again
   * @param named the same, for descriptors with names of their own
   */
  begin(
    recording: Recording<Operation>,
    objects: readonly WantedObject[],
    named: readonly KeptObject[],
  ): void {
    const snapshot = () => this.#askingOnce(recording.snapshot);
    this.log.begin({ ...recording, snapshot }, this.#kept(objects, named));
  }

  /** A snapshot in which the process of an owner is looked for once, however many locks the owner has. */
  *#askingOnce(snapshot: Recording<Operation>["snapshot"]): Generator<Operation> {
    this.#sought = new Set();
    try {
      yield* snapshot();
    } finally {
      this.#sought = undefined;
    }
  }

  /** The other daemon did not take over after all: everything has to be stored again. */
  stay(objects: readonly WantedObject[], named: readonly KeptObject[]): void {
    this.log.stay(this.#kept(objects, named));
  }

  /** Has everything stored again that the store has dropped, in the same slots. */
  fill(objects: readonly WantedObject[], named: readonly KeptObject[]): void {
    this.log.fill(this.#kept(objects, named));
  }

  /** Slot of an object as a field of its record; none where nothing is stored. */
  slot(kind: SlotKind, id: number): { slot?: number } {
    const slot = this.#slots[kind].get(id);
    return slot === undefined ? {} : { slot };
  }

  /**
   * An owner with what tells its process again: the same object for the same owner, so that a log has it
   * once.
   */
  ownerRecord(owner: Owner): OwnerRecord {
    const known = this.#owners.get(owner);
    if (known !== undefined && (known.start !== 0 || this.#sought?.has(owner))) return known;
    this.#sought?.add(owner);
    const { pid: seen, start } = this.#markOf(owner);
    if (known !== undefined && start === 0) return known;
    const record = { ...owner, start, ...(seen === owner.pid ? {} : { hostPid: seen }) };
    this.#owners.set(owner, record);
    return record;
  }

  /** A lock that was released for an owner whose process goes on. */
  parkedRecord({ lockspace, name, path, owner, use }: ParkedLock): ParkedRecord {
    const used = use === undefined ? {} : { use: this.#holdingRecord(use) };
    return { lockspace, name, path, owner: this.ownerRecord(owner), ...used };
  }

  /** A lock as the journal has it. */
  journaledLock(resource: Resource): JournaledLock {
    const { id, lockspace, name, path, shared, autocreate, state, regrant, handle } = resource;
    invariant(resource.holdings.length > 0, "A lock is recorded that nobody has");
    const holdings = resource.holdings.map((holding) => this.#holdingRecord(holding));
    return {
      record: { id, lockspace, name, path, shared, autocreate, holdings, state, regrant },
      lock: handle.kind === "file" ? handle.lock : "ofd",
      ...this.slot("lock", id),
    };
  }

  #granted(resource: Resource, holding: Holding): void {
    if (resource.holdings.length > 1) {
      return this.log.add({ op: "share", id: resource.id, holding: this.#holdingRecord(holding) });
    }
    this.#wantLock(resource);
    this.#anew(resource);
  }

  /** A grant of an id that is known takes the place of the one before. */
  #anew(resource: Resource): void {
    this.log.add({ op: "grant", ...this.journaledLock(resource) });
  }

  #dying({ pid, key, pidfd, since, killed }: DyingHolder): void {
    this.#want("dying holder", pid, pidfd);
    this.log.add({ op: "dying", pid, key, since, killed, ...this.slot("dying holder", pid) });
  }

  #connected(server: RpcServer, { key, fd, peer }: Connection): void {
    this.#keys.set(peer, key);
    const kind = clientKind(server.ordinal);
    const object = this.#keeps ? this.#object(kind, key, fd) : { name: "", fd };
    const { pid, uid, gid, connectedAt: since } = peer;
    this.log.connected(key, { op: "client", key, pid, uid, gid, since, ...this.slot(kind, key) }, object);
  }

  #keyOf(peer: Peer): number {
    // Only the lock server has sessions with owners.
    return this.#keys.get(peer) ?? clientKey(0, peer.clientId);
  }

  #holdingRecord({ owner, since }: Holding): HoldingRecord {
    return { owner: this.ownerRecord(owner), since };
  }

  /** Whether descriptors are stored now. */
  get #keeps(): boolean {
    return this.log.keepsDescriptors && this.log.records;
  }

  #wantLock({ id, handle }: Resource): void {
    invariant(handle.kind === "file", "A lock is to be stored that has no file");
    this.#want("lock", id, handle.fd);
  }

  #want(kind: SlotKind, id: number, fd: number): void {
    if (this.#keeps) this.log.want(this.#object(kind, id, fd));
  }

  /** Locks lie in queues, there are so many of them; what else is stored are sockets and processes. */
  #object(kind: SlotKind, id: number, fd: number): KeptObject {
    const index = this.#slots[kind].take(id);
    return { name: slotName({ kind, index }), fd, queued: kind === "lock" };
  }

  #kept(objects: readonly WantedObject[], named: readonly KeptObject[]): KeptObject[] {
    const stored = this.log.keepsDescriptors ? objects : [];
    return [...named, ...stored.map(({ kind, id, fd }) => this.#object(kind, id, fd))];
  }

  #drop(kind: SlotKind, id: number): void {
    const index = this.#slots[kind].forget(id);
    if (index === undefined) return;
    this.log.drop(slotName({ kind, index }), () => this.#slots[kind].free(index));
  }
}
