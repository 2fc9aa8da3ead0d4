import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import type { ClusterSettings, OnLost } from "../identity/cluster_settings.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { LockFiles } from "../lockspace/lock_files.ts";
import type { OtherHosts } from "../lockspace/other_hosts.ts";
import type { Owner } from "../lockspace/owner.ts";
import type { ProcessMark } from "../lockspace/owner_watch.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { LastWrites } from "./locks/orphans.ts";
import type { UngrantedTry } from "./locks/ungranted_tries.ts";
import type { ClusterObserver } from "./cluster_observer.ts";
import type { FencingWishes } from "./fencing/fencing_wishes.ts";
import type { ToldProcess } from "./reconcile/lost_guests.ts";
import type { PausedGuest } from "./reconcile/lost_marks.ts";
import type { LocationOf } from "./keys/names.ts";
import type { ClusterStatus } from "./cluster_status.ts";

/** For which hosts a lock counts. */
export type LockReach =
  /** etcd has it for this host: no other one gets it. */
  | "cluster"
  /** It is one of the cluster's, and etcd does not have it for this host: others may get it. */
  | "pending"
  /** This host alone, whatever others do. */
  | "local";

/** What a cluster is made of. */
export interface ClusterParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly settings: ClusterSettings;
  /** Where it is kept which cluster this host is a member of. */
  readonly membershipFile: string;
  /** Id of the daemons of which this one is: see keys/lineage.ts. */
  readonly lineage: string;
  /** Their tries to get locks that were granted to nobody. */
  readonly tries: readonly UngrantedTry[];
  /** Called when {@link Cluster.tries} are others, which is to be in the journal before what comes next. */
  readonly triesChanged: () => void;
  /** Where a link with etcd is started for whoever connects. */
  readonly linkSocket: string;
  /** Where a process is started that fences a host, for whoever connects. */
  readonly fenceSocket: string;
  /** How long a guest waits for other hosts, in ms, as it is configured now. */
  readonly wait: () => number;
  /** How long guests that start with their host wait until it is a member, in ms, as it is configured now. */
  readonly startWait: () => number;
  /** What a program has to know of this host that fences it, as it is configured now; undefined: nothing. */
  readonly fenceData: () => string | undefined;
  /** Program that fences hosts which are not heard of, as it is configured now; undefined: none does. */
  readonly fenceCommand: () => string | undefined;
  /** How long it may take, in ms. */
  readonly fenceLimit: () => number;
  /** What is done with guests whose lock another host has got, as it is configured now. */
  readonly onLost: () => OnLost;
  /** This host's own locks. */
  readonly files: LockFiles;
  /** Whether the storage of one of its files may hang. */
  readonly mayHang: (path: string, identity: FileIdentity) => boolean;
  /** Which file a path leads to, whatever it is called, without touching storage that may hang. */
  readonly locationOf: LocationOf;
  readonly resources: () => Iterable<Resource>;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  readonly processOf: (owner: Owner) => ToldProcess;
  /** What libvirt has released for guests that are paused. */
  readonly paused: () => Iterable<PausedGuest>;
  /** Has one of them not resumed any more: somebody may have had its lock, and nobody will know who. */
  readonly overtaken: (guest: PausedGuest) => void;
  /** Calls `go` when all that was recorded until now is in the journal. */
  readonly recorded: (go: () => void) => void;
  /** See LockTable.partWith(): of the lock of a file. */
  readonly partWith: (path: string) => boolean;
  /** See LockTable.askedFor(): of the lock of a file. */
  readonly askedFor: (path: string, uuid: string) => boolean;
  /** Milliseconds. */
  readonly patience: () => number;
  readonly lastWrites: LastWrites;
  readonly observer: ClusterObserver;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** This host in a cluster. */
export interface Cluster {
  /** The lock core's file operations. */
  readonly files: LockFiles;
  /** Undefined for a host that cannot be a member. */
  readonly others: OtherHosts | undefined;
  readonly status: ClusterStatus;
  /** Whether a lock file counts for all hosts. */
  covers(path: string): boolean;
  /** For which hosts the lock of a file counts now. */
  reachOf(path: string): LockReach;
  /** What the next image is to go on with of hosts that are to be fenced; undefined: nothing. */
  readonly fencingWishes: FencingWishes | undefined;
  /** What the next daemon is to go on with of locks that were granted to nobody. */
  readonly tries: readonly UngrantedTry[];
  /** Takes over what an earlier image was asked for. Called before {@link begin}. */
  resumeFencing(wishes: FencingWishes): void;
  /** Begins to join: from now on locks that are in the table are put into etcd. */
  begin(): void;
  /** A lock is about to be had again that could not be at the start: it may be of a device of the cluster. */
  found(resource: Resource, fd: number, identity: FileIdentity): void;
  /** The configuration was read again: the program that fences may be another one. */
  refreshFencing(): void;
  /** The daemon ends, and its guests may run on: all are told. @param done called once, perhaps at once */
  retire(done: () => void): void;
  close(): void;
}
