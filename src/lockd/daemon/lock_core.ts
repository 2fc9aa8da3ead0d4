import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { clusterOf } from "../cluster/cluster.ts";
import type { Cluster } from "../cluster/cluster_parts.ts";
import type { UngrantedTry } from "../cluster/locks/ungranted_tries.ts";
import type { ClusterSettings } from "../identity/cluster_settings.ts";
import { HolderReaper } from "../lockspace/holder_reaper.ts";
import { LockTable } from "../lockspace/lock_table.ts";
import { ManualRelease } from "../lockspace/manual_release.ts";
import { ownerKey } from "../lockspace/owner.ts";
import { hasOpenForWriting } from "../lockspace/open_files.ts";
import { OwnerWatch } from "../lockspace/owner_watch.ts";
import { PidNamespaces } from "../lockspace/pid_namespaces.ts";
import { PosixGuard } from "../lockspace/posix_guard.ts";
import { Settler } from "../lockspace/settler.ts";
import { isOfDisk } from "../lockspace/resource.ts";
import { Sights } from "../lockspace/sights.ts";
import type { DaemonObserver } from "../reporting/observers.ts";
import type { HelperCommand } from "../storage/helper_protocol.ts";
import { lookAt } from "../lockspace/written_files.ts";
import { Storage } from "../storage/storage.ts";
import { type CoreSettings, mayResumeStale } from "./core_settings.ts";

/** What the lock core is built from. */
export interface LockCoreParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** What the configuration says, always as it is now. */
  readonly settings: Readonly<CoreSettings>;
  readonly observer: DaemonObserver;
  /** Calls `go` when all that was observed until now is in the journal. */
  readonly recorded: (go: () => void) => void;
  /** How to start this program: its command line without the arguments of this daemon. */
  readonly program: HelperCommand;
  /** Socket of the process that starts storage helpers, from an earlier image. */
  readonly storageStarter: number | undefined;
  /** Socket behind which the service manager starts storage helpers that become another user. */
  readonly deputySocket: string;
  /** What the configuration says of the cluster, as long as this process lives. */
  readonly clusterSettings: ClusterSettings;
  /** Where a link with etcd is started, for a host that is in a cluster. */
  readonly linkSocket: string;
  /** Where it is kept which cluster this host is a member of. */
  readonly membershipFile: string;
  /** Of which daemons this one is: see src/lockd/cluster/keys/lineage.ts. */
  readonly lineage: string;
  /** Tries to get locks of the cluster's that were granted to nobody. */
  readonly tries: readonly UngrantedTry[];
  /** Told when these have changed. */
  readonly triesChanged: () => void;
  /** Where a process is started that fences a host of the cluster. */
  readonly fenceSocket: string;
}

/** The lock core with the storage under it: all that knows of locks, and of nobody who asks for them. */
export class LockCore {
  readonly storage: Storage;
  readonly guard: PosixGuard;
  readonly watch: OwnerWatch;
  readonly namespaces: PidNamespaces;
  /** What owners' processes write. */
  readonly sights: Sights;
  /** Locks of owners that are gone. */
  readonly settler: Settler;
  /** Undefined for a host that is in no cluster. */
  readonly cluster: Cluster | undefined;
  readonly table: LockTable;
  readonly reaper: HolderReaper;
  readonly manualRelease: ManualRelease;

  constructor({ sys, loop, ledger, settings, observer, ...parts }: LockCoreParts) {
    const now = () => Date.now();
    const clock = () => sys.monotonic();
    const patience = () => settings.storageTimeout * 1000;
    this.guard = new PosixGuard(ledger);
    this.storage = new Storage({
      sys,
      loop,
      ledger,
      guard: this.guard,
      self: parts.program,
      timeLimit: patience,
      observer,
      now: clock,
      inherited: parts.storageStarter,
      deputySocket: parts.deputySocket,
      sightOf: (key) => this.sights.of(key),
      guests: () => [...this.watch.guests],
    });
    const { files, findHolder, places, witness } = this.storage;
    this.watch = new OwnerWatch({ sys, loop, ledger });
    this.namespaces = new PidNamespaces({ sys, loop, ledger });
    this.sights = new Sights({
      sys,
      loop,
      clock,
      pidOf: (key) => this.watch.processOf(key)?.pid,
      lives: (key) => this.watch.processOf(key) !== undefined && !this.watch.hasEnded(key),
      hasEnded: (key) => this.reaper.ended.some((owner) => owner.key === key),
      owns: (key) => this.table.owns(key),
      disksOf: (key) => this.table.ownedBy(key).filter(isOfDisk).length,
    });
    this.settler = new Settler({
      witness,
      observer,
      after: (milliseconds, task) => loop.after(milliseconds, task),
      clock,
      // What other hosts would get too is not given up before it is known that nothing is written any more.
      bound: ({ path }) => this.cluster?.covers(path) === true ? Infinity : settings.settleTimeout * 1000,
      hasNotRun: ({ owner }) => this.table.hasNotRun(owner),
      trustsNetworkDisks: () => settings.clusterTrustNetworkDisks,
    });
    this.cluster = clusterOf({
      sys,
      loop,
      ledger,
      settings: parts.clusterSettings,
      membershipFile: parts.membershipFile,
      lineage: parts.lineage,
      tries: parts.tries,
      triesChanged: parts.triesChanged,
      linkSocket: parts.linkSocket,
      fenceSocket: parts.fenceSocket,
      wait: () => settings.clusterWait * 1000,
      startWait: () => settings.clusterStartWait * 1000,
      fenceData: () => settings.clusterFenceData,
      fenceCommand: () => settings.clusterFenceCommand,
      fenceLimit: () => settings.clusterFenceTimeout * 1000,
      onLost: () => settings.clusterOnLost,
      files,
      mayHang: (path, identity) => this.storage.mayHang(path, identity),
      locationOf: (path) => this.storage.locationOf(path),
      resources: () => this.table.resources(),
      markOf: (owner) => this.reaper.markOf(owner),
      processOf: (owner) =>
        this.reaper.judge(owner).kind === "dead"
          ? "ended"
          : this.watch.processOf(ownerKey(owner)) ?? "untold",
      paused: () => this.table.parked.all(),
      overtaken: ({ path, owner }) => {
        for (const parked of this.table.parked.overtaken(path, owner)) observer.parked(parked);
      },
      recorded: parts.recorded,
      partWith: (path) => this.table.partWith(path),
      askedFor: (path, uuid) => this.table.askedFor(path, uuid),
      patience,
      lastWrites: {
        look: (pid) => lookAt(sys, pid),
        judge: (sight, done) => witness.judgeSeen(sight, done),
      },
      observer,
      now,
    });
    this.table = new LockTable({
      watch: this.watch,
      opened: (pid, sought) => hasOpenForWriting(sys, pid, sought),
      staleResumeAllowed: (owner) => mayResumeStale(settings, owner),
      settler: this.settler,
      loop,
      patience,
      files: this.cluster?.files ?? files,
      others: this.cluster?.others,
      ledger,
      guard: this.guard,
      observer,
      findHolder,
      places,
      allowed: (path) => allowedDirectory(settings.lockDirectories, path),
      now,
    });
    const { table, watch } = this;
    this.reaper = new HolderReaper({ sys, loop, watch, table, observer, now });
    this.manualRelease = new ManualRelease({ table, reaper: this.reaper, witness, observer });
  }
}

/** What has to be mounted in a directory in which lease files may be made; undefined when they may not. */
function allowedDirectory(
  directories: CoreSettings["lockDirectories"],
  path: string,
): { source: string | undefined } | undefined {
  const source = directories.get(path);
  return source !== undefined || directories.has(path) ? { source } : undefined;
}
