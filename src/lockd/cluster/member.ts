import { hostName } from "../../os/host_facts.ts";
import type { OtherHosts } from "../lockspace/other_hosts.ts";
import type { Resource } from "../lockspace/resource.ts";
import { AskedLocks } from "./locks/asked_locks.ts";
import { BlockDevices } from "./keys/block_devices.ts";
import { ClusterLockFiles } from "./locks/cluster_lock_files.ts";
import { ClusterLocks } from "./locks/cluster_locks.ts";
import { GrantedLocks } from "./locks/granted_locks.ts";
import { KeptLocks } from "./locks/kept_locks.ts";
import { LockTurns } from "./locks/lock_turns.ts";
import type { Cluster, ClusterParts, LockReach } from "./cluster_parts.ts";
import type { ClusterStatus } from "./cluster_status.ts";
import { isEarlier } from "./host/daemon_mark.ts";
import type { DaemonMark } from "./keys/host_record.ts";
import { endpointsOf, reachOf } from "./host/endpoints.ts";
import { LEFT_BEHIND } from "./session/doubts.ts";
import { EtcdVersions } from "./etcd/etcd_versions.ts";
import { wrongWithProgram } from "./fencing/fence_program.ts";
import { FencedLocks } from "./locks/fenced_locks.ts";
import { HolderNames } from "./locks/holder_names.ts";
import { HostFencing } from "./fencing/host_fencing.ts";
import { KeyCheck, type KeyCheckParts } from "./reconcile/key_check.ts";
import { ClusterKeys } from "./keys/keys.ts";
import { HeldLocks } from "./reconcile/held_locks.ts";
import { LostGuests } from "./reconcile/lost_guests.ts";
import { LostLocks, type LostLocksParts } from "./reconcile/lost_locks.ts";
import { LinkClient } from "./etcd/link_client.ts";
import type { MembershipFile, Seen } from "./host/membership_file.ts";
import { ClusterNames, type ClusterSpace } from "./keys/names.ts";
import { Orphans } from "./locks/orphans.ts";
import { PausedMarks } from "./locks/paused_marks.ts";
import { Reconciliation } from "./reconcile/reconciliation.ts";
import type { ClusterLock } from "./keys/transactions.ts";
import { mayLive } from "./host/process_lives.ts";
import { ClusterSession } from "./session/session.ts";
import { Wants } from "./locks/wants.ts";

/**
 * How long guests that are started with their host wait for it to join, in ms: the link waits for the
 * network, and after a loss of power etcd is being started too. libvirt does not try again.
 */
const JOIN_MS = 60_000;

/** What is known of the membership before it begins. */
export interface MemberFacts {
  readonly file: MembershipFile;
  readonly boot: string;
  readonly daemon: DaemonMark;
  /** Id of this host in the cluster. */
  readonly host: string;
  readonly spaces: readonly ClusterSpace[];
  /** Whether block devices are locked for all hosts too. */
  readonly devices: boolean;
  /** Session of an earlier daemon of this boot. */
  readonly known: string | undefined;
  /** What etcd was when that one wrote its session. */
  readonly seen: Seen | undefined;
}

/** This host as a member of a cluster, or on the way to be one. */
export class Member implements Cluster {
  readonly #parts: ClusterParts;
  readonly #facts: MemberFacts;
  readonly #keys: ClusterKeys;
  readonly #names: ClusterNames;
  readonly #link: LinkClient;
  readonly #versions: EtcdVersions;
  readonly #session: ClusterSession;
  readonly #fencedLocks: FencedLocks;
  readonly #turns: LockTurns;
  readonly #locks: ClusterLocks;
  readonly #orphans: Orphans;
  readonly #marks: PausedMarks;
  readonly #asked: AskedLocks;
  readonly #check: KeyCheck;
  readonly #fencing: HostFencing;
  readonly #heldLocks: HeldLocks;
  readonly #lostLocks: LostLocks;
  readonly #lostGuests: LostGuests;
  readonly files: ClusterLockFiles;
  readonly #granted = new GrantedLocks();
  readonly #kept: KeptLocks;
  readonly #lives: (pid: number, start: number) => boolean;
  readonly #partWith = (path: string): void => void this.#parts.askedFor(path, "");
  #begun = false;

  constructor(parts: ClusterParts, facts: MemberFacts) {
    const { sys, loop, ledger, settings, now } = parts;
    this.#lostGuests = new LostGuests(parts);
    this.#parts = { ...parts, observer: this.#lostGuests.told(parts.observer) };
    this.#facts = facts;
    this.#keys = new ClusterKeys(settings.clusterName);
    this.#names = new ClusterNames(facts.spaces, parts.locationOf, facts.devices);
    this.#lives = (pid, start) => mayLive(sys, pid, start);
    const name = hostName(sys) || facts.host;
    this.#link = new LinkClient({
      sys,
      loop,
      ledger,
      socket: parts.linkSocket,
      endpoints: endpointsOf(settings),
      opened: () => {
        if (!this.#begun) return;
        this.#session.reachable();
        this.#versions.ask();
      },
    });
    this.#versions = new EtcdVersions({ etcd: this.#link, loop, observer: parts.observer });
    this.#session = this.#newSession(name);
    const clock = () => sys.monotonic();
    this.#fencing = this.#newFencing(name);
    const wait = () => settings.clusterWait * 1000;
    this.#marks = new PausedMarks({ session: this.#session, loop, lives: this.#lives });
    this.#fencedLocks = new FencedLocks({ session: this.#session, keys: this.#keys });
    this.#turns = new LockTurns({
      session: this.#session,
      keys: this.#keys,
      nonce,
      loop,
      marks: this.#marks,
    });
    this.#locks = new ClusterLocks({
      turns: this.#turns,
      names: new HolderNames({ session: this.#session, keys: this.#keys, now }),
      fencedLocks: this.#fencedLocks,
      silent: (host, reason) => this.#fencing.asked(host, reason),
      session: this.#session,
      keys: this.#keys,
      nonce,
      loop,
      clock,
      lives: this.#lives,
      orphans: () => this.#orphans,
      held: (key) => this.#granted.holds(key),
      host: name,
      wants: new Wants({ session: this.#session, keys: this.#keys, nonce, loop, clock, wait }),
      marks: this.#marks,
    });
    const give = (lock: ClusterLock, done: () => void) => this.#turns.give(lock, () => done());
    const whenGone = (lock: ClusterLock, gone: () => void) => this.#turns.whenGone(lock, gone);
    this.#orphans = new Orphans({ give, whenGone, loop, lives: this.#lives, lastWrites: parts.lastWrites });
    this.#kept = this.#newKept();
    this.files = this.#newFiles();
    this.#asked = new AskedLocks({
      session: this.#session,
      keys: this.#keys,
      granted: this.#granted,
      kept: this.#kept,
      loop,
    });
    this.#check = new KeyCheck({ ...this.#watched(), partWith: this.#partWith });
    this.#heldLocks = new HeldLocks({
      session: this.#session,
      keys: this.#keys,
      fencedLocks: this.#fencedLocks,
    });
    this.#lostLocks = new LostLocks({
      ...this.#watched(),
      heldLocks: this.#heldLocks,
      guests: this.#lostGuests,
      nonce,
    });
  }

  #newFiles(): ClusterLockFiles {
    const { sys, loop, now, markOf, patience } = this.#parts;
    return new ClusterLockFiles({
      files: this.#parts.files,
      names: this.#names,
      devices: this.#facts.devices ? new BlockDevices(sys) : undefined,
      mayHang: this.#parts.mayHang,
      locks: this.#locks,
      turns: this.#turns,
      granted: this.#granted,
      kept: this.#kept,
      loop,
      clock: () => sys.monotonic(),
      now,
      patience,
      joining: () => this.#session.joining,
      markOf,
      recorded: this.#parts.recorded,
      whenKnown: (ready) => this.#session.whenKnown(ready),
    });
  }

  #newKept(): KeptLocks {
    const { markOf, now, recorded, askedFor } = this.#parts;
    return new KeptLocks({
      granted: this.#granted,
      names: this.#names,
      turns: this.#turns,
      markOf,
      now,
      recorded,
      askedFor,
      isMarked: (key) => this.#marks.has(key),
      live: () => this.#session.state.kind === "live" && this.#link.unreachable === undefined,
      lost: () => this.#session.withheld,
    });
  }

  #newFencing(name: string): HostFencing {
    const { sys, loop, ledger, settings, linkSocket, fenceSocket, fenceCommand, fenceLimit, observer, now } =
      this.#parts;
    return new HostFencing({
      sys,
      loop,
      ledger,
      socket: fenceSocket,
      command: fenceCommand,
      limit: fenceLimit,
      wrongWith: (program) => wrongWithProgram(sys, program),
      cluster: settings.clusterName,
      link: linkSocket,
      endpoints: endpointsOf(settings),
      from: name,
      clock: () => sys.monotonic(),
      now,
      observer,
    });
  }

  /** What is needed to look now and then what etcd has. */
  #watched(): Omit<KeyCheckParts, "partWith"> & Omit<LostLocksParts, "heldLocks" | "guests" | "nonce"> {
    const { loop, resources, markOf, observer } = this.#parts;
    return {
      session: this.#session,
      keys: this.#keys,
      names: this.#names,
      granted: this.#granted,
      turns: this.#turns,
      resources,
      markOf,
      loop,
      observer,
    };
  }

  get status(): ClusterStatus {
    const { state, id, silence } = this.#session;
    const locks = [...this.#parts.resources()];
    const reason = state.kind === "live" ? this.#link.unreachable : state.reason;
    const fencing = this.#fencing.status;
    return {
      name: this.#parts.settings.clusterName,
      host: this.#facts.host,
      session: id,
      state: state.kind,
      ...reason === undefined ? {} : { reason },
      ...this.#versions.members === undefined ? {} : { etcd: this.#versions.members },
      silentMs: Math.round(silence),
      locks: this.#granted.count,
      local: locks.filter(({ path }) => !this.covers(path)).length,
      lost: this.#session.lost,
      stopped: this.#lostGuests.stopped,
      parked: locks.filter((each) => this.#isParked(each)).length,
      left: this.#marks.size,
      releasing: this.#turns.releasing,
      unknown: this.#orphans.size,
      ...fencing === undefined ? {} : { fencing },
    };
  }

  get others(): OtherHosts {
    return this.#kept;
  }

  #isParked({ regrant, path }: Resource): boolean {
    return regrant === "parked" && this.#names.of(path) !== undefined;
  }

  covers(path: string): boolean {
    return this.#names.of(path) !== undefined;
  }

  reachOf(path: string): LockReach {
    if (this.#granted.of(path) !== undefined) return "cluster";
    return this.covers(path) ? "pending" : "local";
  }

  begin(): void {
    this.#begun = true;
    for (const { lockspace, path, handle } of this.#parts.resources()) {
      const known = this.files.recognise(path) !== undefined;
      if (known || lockspace !== "" || handle.kind !== "file") continue;
      this.files.learn(path, handle.fd, handle.identity);
    }
    this.#session.begin();
    this.#session.whenKnown(() => this.#kept.known());
    this.#asked.begin();
    this.#check.begin();
    this.#lostLocks.begin();
    this.#versions.ask();
    this.#versions.begin();
    this.#fencing.refresh();
  }

  refreshFencing(): void {
    this.#fencing.refresh();
  }

  retire(done: () => void): void {
    this.#fencing.close();
    // Who has nothing is in nobody's way.
    if (this.#granted.count === 0) done();
    else this.#session.retire(done);
  }

  close(): void {
    this.#fencing.close();
    this.#session.close();
    this.#link.close();
  }

  #newSession(name: string): ClusterSession {
    const { sys, loop, settings, resources, observer } = this.#parts;
    const { file, boot, daemon, host, spaces, devices, known, seen } = this.#facts;
    return new ClusterSession({
      etcd: this.#link,
      loop,
      clock: () => sys.monotonic(),
      keys: this.#keys,
      host: {
        id: host,
        name,
        boot,
        daemon,
        ...settings.clusterFenceData === undefined ? {} : { data: settings.clusterFenceData },
      },
      isEarlier: (other) => isEarlier(sys, daemon, other),
      spaces: this.#names.spaces,
      nonce,
      known,
      joinMs: known === undefined ? JOIN_MS : 0,
      seen,
      keep: (session, now) =>
        file.save({
          boot,
          place: daemon.place,
          cluster: settings.clusterName,
          session,
          spaces,
          ...devices ? { devices } : {},
          ...now === undefined ? {} : { seen: now },
          reach: reachOf(settings, host),
        }),
      givesBack: () => this.#orphans.leaving > 0,
      left: () => {
        file.remove();
        for (const resource of resources()) {
          if (this.#names.of(resource.path) === undefined) continue;
          observer.clusterDoubtful(resource, LEFT_BEHIND);
        }
      },
      holds: () => [...resources()].some(({ path }) => this.#names.of(path) !== undefined),
      has: ({ id }) => [...resources()].some((resource) => resource.id === id),
      reconcile: (epoch, done, restored) => this.#reconciliation().run(epoch, done, restored),
      observer,
    });
  }

  #reconciliation(): Reconciliation {
    const { resources, markOf, observer } = this.#parts;
    return new Reconciliation({
      heldLocks: this.#heldLocks,
      session: this.#session,
      keys: this.#keys,
      names: this.#names,
      granted: this.#granted,
      paused: this.#parts.paused,
      partWith: this.#partWith,
      resources,
      markOf,
      lives: this.#lives,
      turns: this.#turns,
      nonce,
      orphans: this.#orphans,
      marks: this.#marks,
      observer,
    });
  }
}

function nonce(): string {
  return crypto.randomUUID();
}
