import { hostName } from "../../os/host_facts.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { LockFiles } from "../lockspace/lock_files.ts";
import type { OtherHosts } from "../lockspace/other_hosts.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { Cluster, ClusterParts, LockReach } from "./cluster_parts.ts";
import type { ClusterStatus } from "./cluster_status.ts";
import type { UngrantedTry } from "./locks/ungranted_tries.ts";
import { MemberLocks } from "./member_locks.ts";
import { isEarlier } from "./host/daemon_mark.ts";
import type { DaemonMark } from "./keys/host_record.ts";
import { endpointsOf, reachOf } from "./host/endpoints.ts";
import { EtcdVersions } from "./etcd/etcd_versions.ts";
import { wrongWithProgram } from "./fencing/fence_program.ts";
import type { FencingWishes } from "./fencing/fencing_wishes.ts";
import { HostFencing } from "./fencing/host_fencing.ts";
import { mayLive } from "./host/process_lives.ts";
import { type Machine, machineOf } from "./host/machine.ts";
import { EarlierStarts } from "./reboot/earlier_starts.ts";
import { rebootTrust } from "./reboot/reboot_trust.ts";
import { SessionSweep } from "./reboot/session_sweep.ts";
import { ClusterKeys } from "./keys/keys.ts";
import { LostGuests } from "./reconcile/lost_guests.ts";
import { LinkClient } from "./etcd/link_client.ts";
import type { MembershipFile, SessionNote } from "./host/membership_file.ts";
import { Lineage } from "./keys/lineage.ts";
import { ClusterNames, type ClusterSpace } from "./keys/names.ts";
import { ClusterSession } from "./session/session.ts";

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
  /** Of an earlier daemon of this boot. */
  readonly note: SessionNote | undefined;
  /** Set where the configuration does not say any more that it is a member. */
  readonly parting?: boolean;
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
  readonly #locks: MemberLocks;
  readonly #fencing: HostFencing;
  readonly #machine: Machine;
  readonly #earlier: EarlierStarts;
  readonly #lostGuests: LostGuests;
  #begun = false;

  constructor(parts: ClusterParts, facts: MemberFacts) {
    const { sys, loop, ledger, settings } = parts;
    this.#lostGuests = new LostGuests(parts);
    this.#parts = { ...parts, observer: this.#lostGuests.told(parts.observer) };
    this.#facts = facts;
    this.#keys = new ClusterKeys(settings.clusterName);
    this.#names = new ClusterNames(facts.spaces, parts.locationOf, facts.devices);
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
    this.#machine = machineOf(sys);
    this.#session = this.#newSession(name);
    this.#earlier = this.#newEarlierStarts(name);
    this.#fencing = this.#newFencing(name);
    this.#locks = new MemberLocks({
      parts: this.#parts,
      session: this.#session,
      link: this.#link,
      keys: this.#keys,
      names: this.#names,
      devices: facts.devices,
      host: name,
      lineage: new Lineage(parts.lineage),
      lostGuests: this.#lostGuests,
      silent: (host, reason) => this.#fencing.asked(host, reason),
    });
  }

  get files(): LockFiles {
    return this.#locks.files;
  }

  get tries(): readonly UngrantedTry[] {
    return this.#locks.tries;
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

  get status(): ClusterStatus {
    const { state, id, silence } = this.#session;
    const locks = [...this.#parts.resources()];
    const told = state.kind === "live" ? undefined : state.reason;
    const reason = told ?? this.#link.unreachable;
    const fencing = this.#fencing.status;
    return {
      name: this.#parts.settings.clusterName,
      host: this.#facts.host,
      session: id,
      state: state.kind,
      ...reason === undefined ? {} : { reason },
      ...this.#versions.members === undefined ? {} : { etcd: this.#versions.members },
      silentMs: Math.round(silence),
      locks: this.#locks.granted.count,
      local: locks.filter(({ path }) => !this.covers(path)).length,
      lost: state.kind === "lost" && state.givenUp !== undefined ? this.#locks.lost : this.#session.lost,
      stopped: this.#lostGuests.stopped,
      parked: locks.filter((each) => this.#isParked(each)).length,
      left: this.#locks.left,
      releasing: this.#locks.releasing,
      unknown: this.#locks.unknown,
      ...fencing === undefined ? {} : { fencing },
      reboot: this.#earlier.status,
    };
  }

  get others(): OtherHosts {
    return this.#locks.others;
  }

  get fencingWishes(): FencingWishes | undefined {
    return this.#fencing.wishes;
  }

  resumeFencing(wishes: FencingWishes): void {
    this.#fencing.resume(wishes);
  }

  #isParked({ regrant, path }: Resource): boolean {
    return regrant === "parked" && this.#names.of(path) !== undefined;
  }

  covers(path: string): boolean {
    return this.#names.of(path) !== undefined;
  }

  reachOf(path: string): LockReach {
    if (this.#locks.granted.of(path) !== undefined) return "cluster";
    return this.covers(path) ? "pending" : "local";
  }

  begin(): void {
    this.#begun = true;
    for (const { lockspace, path, handle } of this.#parts.resources()) {
      const known = this.#locks.files.recognise(path) !== undefined;
      if (known || lockspace !== "" || handle.kind !== "file") continue;
      this.#locks.files.learn(path, handle.fd, handle.identity);
    }
    this.#session.begin();
    this.#locks.begin();
    this.#versions.ask();
    this.#versions.begin();
    this.#fencing.refresh();
  }

  found(resource: Resource, fd: number, identity: FileIdentity): void {
    this.#locks.found(resource, fd, identity);
  }

  refreshFencing(): void {
    this.#fencing.refresh();
  }

  retire(done: () => void): void {
    this.#fencing.close();
    // Who has nothing is in nobody's way.
    if (this.#locks.granted.count + this.#locks.unknown === 0) done();
    else this.#session.retire(done);
  }

  close(): void {
    this.#fencing.close();
    this.#session.close();
    this.#link.close();
  }

  #newSession(name: string): ClusterSession {
    const { sys, loop, settings, startWait, fenceData, resources, recorded, observer } = this.#parts;
    const { file, boot, daemon, host, spaces, devices, note, parting = false } = this.#facts;
    const { mark } = this.#machine;
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
        data: fenceData,
        ..."missing" in mark ? {} : { machine: mark },
      },
      isEarlier: (other) => isEarlier(sys, daemon, other),
      spaces: this.#names.spaces,
      // Whoever goes on from a copy of this memory may draw the same numbers, but hardly at the same moment.
      nonce: () => `${crypto.randomUUID()}-${Math.round(sys.monotonic() * 1000)}`,
      note,
      // After a loss of power etcd is being started too, and libvirt starts a guest with its host only once.
      joinMs: startWait,
      keep: (written) =>
        file.save({
          boot,
          place: daemon.place,
          cluster: settings.clusterName,
          spaces,
          ...devices ? { devices } : {},
          ...written,
          reach: reachOf(settings, host),
        }),
      look: () => this.#locks.look(),
      givesBack: () => this.#locks.givesBack,
      parting,
      // Behind what tells the next daemon that others may have had what paused guests had.
      left: () => recorded(() => file.remove()),
      marksGone: () => this.#locks.marksGone(),
      gaveUp: (doubt) => this.#locks.gaveUp(doubt),
      holds: () => [...resources()].some(({ path }) => this.covers(path)),
      held: () => [...resources()].filter(({ path }) => this.covers(path)).length,
      has: ({ id }) => [...resources()].some((resource) => resource.id === id),
      reconcile: (epoch, done, past) =>
        this.#earlier.end(epoch, (failure) => {
          if (failure === undefined) this.#locks.reconcile(epoch, done, past);
          else done(failure);
        }),
      observer,
    });
  }

  #newEarlierStarts(name: string): EarlierStarts {
    const { sys, loop, settings, now, observer } = this.#parts;
    const { boot, host } = this.#facts;
    const sweep = new SessionSweep({ session: this.#session, keys: this.#keys, loop });
    return new EarlierStarts({
      session: this.#session,
      etcd: this.#link,
      keys: this.#keys,
      loop,
      host: { id: host, name, boot },
      trust: rebootTrust(settings.clusterTrustReboot, this.#machine),
      lives: (pid, start) => mayLive(sys, pid, start),
      sweep: (session, revision) => sweep.sweep(session, revision),
      now,
      observer,
    });
  }
}
