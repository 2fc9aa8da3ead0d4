import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DyingHolder, EndedOwner, ReaperObserver } from "../lockspace/holder_reaper.ts";
import type { LockObserver } from "../lockspace/lock_table.ts";
import type { Holding, Owner } from "../lockspace/owner.ts";
import type { ParkedLock } from "../lockspace/parked_locks.ts";
import type { ProcessMark } from "../lockspace/owner_watch.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { Mapping } from "../../os/sys.ts";
import { invariant } from "../../base/invariant.ts";
import { SystemError } from "../../os/system_error.ts";
import { clientKey } from "../../chassis/rpc/client_key.ts";
import type { Connection } from "../../chassis/rpc/connection.ts";
import type {
  AnsweredRequest,
  Durability,
  DurableClient,
  InputBytes,
  Settled,
} from "../../chassis/rpc/durability.ts";
import { type BegunReply, type Exchange, OUTPUT_SIZE } from "../../chassis/rpc/exchange.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import type { ClientObserver, RpcServer } from "../../chassis/rpc/server.ts";
import type { DescriptorStore, StoreStatus, WantedDescriptor } from "./descriptor_store.ts";
import { slotName } from "./descriptor_names.ts";
import type { SharedMemory } from "./journal_memory.ts";
import { EXCHANGE_OFFSET } from "./layout.ts";
import type { LogFile } from "./log_file.ts";
import type { StoredObject } from "./recovered.ts";
import { clientKind, type Slot, type SlotKind, Slots } from "./slots.ts";
import type { JournaledLock } from "./journaled_lock.ts";
import type { Operation, ParkedRecord } from "./operations.ts";
import type { HoldingRecord, OwnerRecord } from "./journaled_lock.ts";

/** Without memory for the journal it is tried again after so many ms. */
const RETRY_MS = 1000;

/** A session of the lock program, as far as the journal looks at it. */
interface SessionLike {
  readonly peer: Peer;
  readonly owner: Owner | undefined;
}

/** The events that a journal records. */
export type JournalObserver =
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
    | "regrantable"
  >
  & Pick<LockObserver, "parked" | "unparked">
  & Pick<ReaperObserver, "dying" | "gone" | "settled">
  & Pick<ClientObserver, "connected" | "disconnected">
  & { registered(session: SessionLike): void; restricted(session: SessionLike): void };

/** What a journal is made of. */
export interface JournalParts {
  readonly memory: SharedMemory;
  readonly log: LogFile;
  /** Absent where no service manager keeps descriptors. */
  readonly store: DescriptorStore | undefined;
  readonly loop: EventLoop;
  readonly logger: Log;
  /** Slots that are taken from an earlier life on. */
  readonly slots: readonly StoredObject[];
  /** The process of an owner, as {@link OwnerWatch.markOf}. */
  readonly markOf: (owner: Owner) => ProcessMark;
}

/** Something to be stored. */
export interface WantedObject {
  readonly kind: SlotKind;
  readonly id: number;
  /** Stays the caller's. */
  readonly fd: number;
}

/** What happened since the last commit. */
interface Pending {
  operations: Operation[];
  wanted: WantedDescriptor[];
  /** Slots that the store is to forget when that is recorded. */
  removed: Slot[];
}

/** Locks lie in queues, there are so many of them; what else is stored are sockets and processes. */
function wantedDescriptor(slot: Slot, fd: number): WantedDescriptor {
  return { name: slotName(slot), fd, queued: slot.kind === "lock" };
}

/** An owner's process is gone: known until all that it had is released, which may take a while. */
export function endedOperation({ pid, key }: EndedOwner): Operation {
  return { op: "dying", pid, key, since: 0, killed: true };
}

function nothing(): Pending {
  return { operations: [], wanted: [], removed: [] };
}

/**
 * Records what the daemon must know after it was killed, and has the descriptors of locks and clients stored.
 *
 * The order is: kernel lock, descriptor stored, record committed, reply sent. A request that changes nothing
 * costs nothing here.
 */
export class Journal implements Durability {
  readonly #parts: JournalParts;
  readonly #owners = new WeakMap<Owner, OwnerRecord>();
  readonly #slots: Record<SlotKind, Slots> = {
    "lock": new Slots(),
    "lock client": new Slots(),
    "admin client": new Slots(),
    "dying holder": new Slots(),
  };
  /** Clients whose descriptor is not stored yet. */
  readonly #arriving = new Set<number>();
  /** Without a store: what answers the requests of the batch, which are recorded together. */
  #settling: (() => void)[] = [];
  /**
   * Slots that the store has to forget, together at the end of the batch: the service manager is woken once
   * for all of them.
   */
  #removals: Slot[] = [];
  #exchange: Exchange | undefined;
  #snapshot: (() => Iterable<Operation>) | undefined;
  #pending = nothing();
  #flushing = false;
  #compacting = false;
  #left = false;
  #failed: string | undefined;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    for (const { kind, id, index } of parts.slots) this.#slots[kind].restore(id, index);
  }

  /** Descriptor of the journal's memory; stays the journal's. */
  get fd(): number {
    return this.#parts.memory.fd;
  }

  /** Where the exchange of the daemon has to be. */
  get exchangeMemory(): { memory: Mapping; offset: number } {
    return { memory: this.#parts.memory.fixed, offset: EXCHANGE_OFFSET };
  }

  /** Where descriptors are kept, if anywhere. */
  get store(): DescriptorStore | undefined {
    return this.#parts.store;
  }

  /** How it is, for the daemon's status. */
  get status(): { bytes: number; failed: string | undefined; store: StoreStatus | undefined } {
    return { bytes: this.#parts.log.length, failed: this.#failed, store: this.#parts.store?.status };
  }

  /** Whether everything that happened is recorded and stored. */
  get idle(): boolean {
    return this.#pending.operations.length === 0 && (this.#parts.store?.idle ?? true);
  }

  /** What it observes; to be told before anybody else. */
  readonly observer: JournalObserver = {
    lockspaceCreated: (path) => this.#add({ op: "lockspace", path }),
    granted: (resource, holding) => this.#granted(resource, holding),
    released: (resource, owner, last) => {
      this.#add({ op: "release", id: resource.id, pid: owner.pid, uuid: owner.uuid, last });
      if (last) this.#remove("lock", resource.id);
    },
    recast: (resource) => this.#anew(resource),
    lost: (resource) => {
      // What the store has of it is no lock any more, and must not be taken for that of a later descriptor.
      this.#remove("lock", resource.id);
      this.#anew(resource);
    },
    regained: (resource) => {
      this.#wantLock(resource);
      this.#anew(resource);
    },
    learnt: (resource) => this.#anew(resource),
    regranted: (resource) => this.#anew(resource),
    regrantable: (resource) => this.#anew(resource),
    parked: (parked) => this.#add({ op: "parked", ...this.parkedRecord(parked) }),
    unparked: (parked) => this.#add({ op: "unparked", ...this.parkedRecord(parked) }),
    troubled: (resource, failure) => {
      if (!failure.released) this.#add({ op: "doubtful", id: resource.id, reason: failure.action });
    },
    dying: (holder) => this.#dying(holder),
    gone: (owner) => {
      this.#remove("dying holder", owner.pid);
      this.#add(endedOperation(owner));
    },
    settled: ({ pid }) => this.#add({ op: "settled", pid }),
    connected: (server, connection) => this.#connected(server, connection),
    disconnected: (server, { key }) => {
      this.#arriving.delete(key);
      this.#add({ op: "gone", key });
      this.#remove(clientKind(server.ordinal), key);
    },
    registered: ({ peer, owner }) => {
      if (owner !== undefined) {
        this.#add({ op: "owner", key: this.#keyOf(peer), owner: this.ownerRecord(owner) });
      }
    },
    restricted: ({ peer }) => this.#add({ op: "restricted", key: this.#keyOf(peer) }),
  };

  /**
   * Begins to record. Until now the journal holds what the last life has left.
   *
   * @param snapshot the daemon's whole state as operations, the first of them `snapshot`
   * @param objects what the store has to have; what it has already is not sent again
   * @param named the same, for descriptors with names of their own
   */
  begin(
    exchange: Exchange,
    snapshot: () => Iterable<Operation>,
    objects: readonly WantedObject[],
    named: readonly { name: string; fd: number }[],
  ): void {
    this.#exchange = exchange;
    this.#snapshot = snapshot;
    const { store } = this.#parts;
    const wanted = store === undefined ? [] : objects.map(({ kind, id, fd }) => {
      return wantedDescriptor({ kind, index: this.#slots[kind].take(id) }, fd);
    });
    this.rewrite();
    store?.store([...named, ...wanted], () => {});
  }

  /** Slot of an object as a field of its record; none where nothing is stored. */
  slot(kind: SlotKind, id: number): { slot?: number } {
    const slot = this.#slots[kind].get(id);
    return slot === undefined ? {} : { slot };
  }

  /** Writes the whole state anew. */
  rewrite(): void {
    const snapshot = this.#left ? undefined : this.#snapshot;
    if (snapshot !== undefined) this.#guarded(() => this.#parts.log.rewrite(snapshot()));
  }

  /**
   * Takes everything out of the store and out of the journal, because a daemon takes over that knows neither.
   *
   * @param done called when nobody keeps a copy of a lock any more, or with the reason why that is not
   *   certain
   */
  leave(done: (reason: string | undefined) => void): void {
    this.flush();
    this.forgetRemoved();
    this.#left = true;
    this.#guarded(() => this.#parts.log.rewrite([]));
    if (this.#parts.store === undefined) done(undefined);
    else this.#parts.store.leave(done);
  }

  /** The daemon ends and leaves the journal to the next one. @param last recorded after everything else */
  finish(last: Operation): void {
    this.flush();
    this.forgetRemoved();
    this.#commit([last]);
  }

  /** The other daemon did not take over after all: everything has to be stored again. */
  stay(objects: readonly WantedObject[], named: readonly { name: string; fd: number }[]): void {
    if (!this.#left) return;
    this.#left = false;
    this.begin(this.#begun(), this.#snapshot ?? (() => []), objects, named);
  }

  #begun(): Exchange {
    if (this.#exchange === undefined) throw new Error("Journal: it has not begun to record");
    return this.#exchange;
  }

  /**
   * An owner with what tells its process again: the same object for the same owner, so that a log has it
   * once.
   */
  ownerRecord(owner: Owner): OwnerRecord {
    const known = this.#owners.get(owner);
    if (known !== undefined && known.start !== 0) return known;
    const { pid: seen, start } = this.#parts.markOf(owner);
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
    const holdings = resource.holdings.map((holding) => this.#holdingRecord(holding));
    return {
      record: { id, lockspace, name, path, shared, autocreate, holdings, state, regrant },
      lock: handle.kind === "file" ? handle.lock : "ofd",
      ...this.slot("lock", id),
    };
  }

  settle(request: AnsweredRequest, resume: (settled: "volatile" | "promised") => void): Settled {
    const { store } = this.#parts;
    const exchange = this.#exchange;
    if (exchange === undefined) return "volatile";
    if (store === undefined) return this.#settleVolatile(resume);
    const { key, atOnce, length, turn, end } = request;
    const unchanged = this.#pending.operations.length === 0 && atOnce &&
      request.reply.length <= OUTPUT_SIZE && !this.#arriving.has(key);
    if (unchanged) return "volatile";
    const pending = this.#take();
    let reply = request.reply;
    let front = atOnce ? 0 : length;
    const commit = () =>
      this.#commitPending(pending, {
        op: "served",
        key,
        front,
        turn,
        end,
        reply: exchange.promiseReply(),
        bytes: reply,
      });
    let waited = false;
    const done = () => {
      commit();
      if (waited) resume("promised");
    };
    if (store.store(pending.wanted, done)) return "promised";
    waited = true;
    reply = reply.slice();
    // The exchange will serve others: by then the request is in the client's input.
    front = length;
    return "later";
  }

  /**
   * No connection outlives the process, so nothing is recorded of the reply, and several requests get one
   * record. Who sleeps is woken by each reply that finds it asleep: a burst wakes a process with many clients
   * once.
   */
  #settleVolatile(resume: (settled: "volatile") => void): Settled {
    if (this.#pending.operations.length === 0) return "volatile";
    if (this.#parts.loop.more) {
      this.#settling.push(() => resume("volatile"));
      return "later";
    }
    this.#commitPending(this.#take());
    return "volatile";
  }

  inputChanged(client: DurableClient, turn: number, added?: InputBytes): void {
    if (!this.#keeps(client)) return;
    const { key } = client;
    if (added !== undefined) {
      const { bytes, dropped } = added;
      return this.#commit([{ op: "added", key, bytes, dropped, turn }]);
    }
    const { bytes, dropped } = client.unsettled;
    this.#commit([{ op: "input", key, bytes, dropped, turn }]);
  }

  outputChanged(client: DurableClient, { number: reply, turn, end }: BegunReply): void {
    if (!this.#keeps(client)) return;
    const { key, unsent: bytes } = client;
    this.#commit([{ op: "output", key, bytes, reply, turn, end }]);
  }

  /** Whether a client's connection outlives the process. */
  #keeps({ closed }: DurableClient): boolean {
    return this.#exchange !== undefined && this.#parts.store !== undefined && !closed;
  }

  /** Records what is not part of a request: now, or once what it needs is stored. */
  flush(): void {
    const { store } = this.#parts;
    this.#flushing = false;
    const settling = this.#settling;
    this.#settling = [];
    if (this.#pending.operations.length > 0) {
      const pending = this.#take();
      const done = () => this.#commitPending(pending);
      if (store === undefined) done();
      else store.store(pending.wanted, done);
    }
    for (const resume of settling) resume();
  }

  #granted(resource: Resource, holding: Holding): void {
    if (resource.holdings.length > 1) {
      return this.#add({ op: "share", id: resource.id, holding: this.#holdingRecord(holding) });
    }
    this.#wantLock(resource);
    this.#anew(resource);
  }

  /** A grant of an id that is known takes the place of the one before. */
  #anew(resource: Resource): void {
    this.#add({ op: "grant", ...this.journaledLock(resource) });
  }

  #wantLock({ id, name, handle }: Resource): void {
    invariant(handle.kind === "file", `Store the lock on ${name}: it has no file`);
    this.#want("lock", id, handle.fd);
  }

  #dying({ pid, key, pidfd, since, killed }: DyingHolder): void {
    this.#want("dying holder", pid, pidfd);
    this.#add({ op: "dying", pid, key, since, killed, ...this.slot("dying holder", pid) });
  }

  #connected(server: RpcServer, { key, fd, peer }: Connection): void {
    if (this.#parts.store !== undefined) this.#arriving.add(key);
    this.#keys.set(peer, key);
    const kind = clientKind(server.ordinal);
    this.#want(kind, key, fd);
    const { pid, uid, gid, connectedAt: since } = peer;
    this.#add({ op: "client", key, pid, uid, gid, since, ...this.slot(kind, key) });
    // At once: until its socket is stored, a crash ends the connection.
    this.flush();
  }

  readonly #keys = new WeakMap<Peer, number>();

  #keyOf(peer: Peer): number {
    // Only the lock server has sessions with owners.
    return this.#keys.get(peer) ?? clientKey(0, peer.clientId);
  }

  #holdingRecord({ owner, since }: Holding): HoldingRecord {
    return { owner: this.ownerRecord(owner), since };
  }

  #add(operation: Operation): void {
    if (this.#exchange === undefined || this.#left) return;
    this.#pending.operations.push(operation);
    if (this.#flushing) return;
    this.#flushing = true;
    this.#parts.loop.defer(() => this.flush());
  }

  #want(kind: SlotKind, id: number, fd: number): void {
    const recording = this.#exchange !== undefined && !this.#left;
    if (!recording || this.#parts.store === undefined) return;
    const index = this.#slots[kind].take(id);
    this.#pending.wanted.push(wantedDescriptor({ kind, index }, fd));
  }

  /**
   * The descriptor is closed: if it was not sent yet it must not be any more, else the store is to forget it.
   */
  #remove(kind: SlotKind, id: number): void {
    const index = this.#slots[kind].forget(id);
    if (index === undefined) return;
    const name = slotName({ kind, index });
    const { wanted, removed } = this.#pending;
    const place = wanted.findIndex((entry) => entry.name === name);
    if (place >= 0) wanted.splice(place, 1);
    const unsent = place >= 0 || this.#parts.store?.cancel(name) === true;
    if (unsent) this.#slots[kind].free(index);
    else removed.push({ kind, index });
  }

  #take(): Pending {
    const pending = this.#pending;
    this.#pending = nothing();
    return pending;
  }

  #commitPending({ operations, removed }: Pending, served?: Operation): void {
    this.#commit(served === undefined ? operations : [...operations, served]);
    for (const operation of operations) {
      if (operation.op === "client") this.#arriving.delete(operation.key);
    }
    if (removed.length === 0) return;
    // Nobody waits for it: nothing is locked through what the store still has.
    if (this.#removals.length === 0) this.#parts.loop.defer(() => this.forgetRemoved());
    this.#removals.push(...removed);
  }

  /** Tells the store now what it has to forget; else that is done at the end of the batch. */
  forgetRemoved(): void {
    const removals = this.#removals;
    this.#removals = [];
    for (const slot of removals) {
      this.#parts.store?.remove(slotName(slot));
      // Behind that message the name may be used again.
      this.#slots[slot.kind].free(slot.index);
    }
  }

  #commit(operations: readonly Operation[]): void {
    // What could not be recorded is in the snapshot that ends the trouble.
    if (this.#left) return;
    if (this.#failed === undefined) this.#guarded(() => this.#parts.log.append(operations));
    this.#compactIfDue();
  }

  #compactIfDue(): void {
    if (this.#failed !== undefined || this.#parts.log.overgrown) this.#compactLater();
  }

  /** At the end of the turn, when no reply is between its record and its first byte. */
  #compactLater(): void {
    if (this.#compacting) return;
    this.#compacting = true;
    const compact = () => {
      this.#compacting = false;
      this.flush();
      if (this.idle) this.rewrite();
      // Perhaps nothing is recorded for a long time now.
      else this.#parts.store?.store([], () => this.#compactIfDue());
    };
    if (this.#failed === undefined) this.#parts.loop.defer(compact);
    else this.#parts.loop.after(RETRY_MS, compact);
  }

  /**
   * Runs a write. Without memory the daemon goes on serving, and says that it is not safe against a crash.
   */
  #guarded(write: () => void): void {
    try {
      write();
      if (this.#failed !== undefined) this.#parts.logger.warn("The journal works again");
      this.#failed = undefined;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      if (this.#failed === undefined) {
        this.#parts.log.fallBehind();
        this.#parts.logger.error(
          `The journal cannot be written, a crash would lose what happens now: ${error.message}`,
        );
      }
      this.#failed = error.message;
    }
  }
}
