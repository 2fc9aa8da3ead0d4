import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { getLog, type Log } from "../../chassis/log/log.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import { Repeats } from "../../chassis/log/repeats.ts";
import type { Durability } from "../../chassis/rpc/durability.ts";
import type { Exchange } from "../../chassis/rpc/exchange.ts";
import { RpcServer } from "../../chassis/rpc/server.ts";
import { IdleTimer } from "../../chassis/start/idle_timer.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import type { Cluster } from "../cluster/cluster_parts.ts";
import type { UngrantedTry } from "../cluster/locks/ungranted_tries.ts";
import { clusterLog } from "../cluster/cluster_log.ts";
import { isGivenUp, isLoss } from "../cluster/session/doubts.ts";
import type { Settings } from "../identity/settings.ts";
import type { LockRecorder } from "../journal/lock_recorder.ts";
import type { HolderReaper } from "../lockspace/holder_reaper.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import type { OwnerWatch } from "../lockspace/owner_watch.ts";
import type { PidNamespaces } from "../lockspace/pid_namespaces.ts";
import type { PosixGuard } from "../lockspace/posix_guard.ts";
import { HELD } from "../lockspace/lock_record.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { Settler } from "../lockspace/settler.ts";
import type { Sights } from "../lockspace/sights.ts";
import { lockProgram } from "../programs/lock_program.ts";
import { eventLog } from "../reporting/event_log.ts";
import { Metrics } from "../reporting/metrics.ts";
import { combineObservers, type DaemonObserver } from "../reporting/observers.ts";
import type { Sections } from "../status/status_document.ts";
import type { HelperCommand } from "../storage/helper_protocol.ts";
import type { Storage } from "../storage/storage.ts";
import { storageLog } from "../storage/storage_log.ts";
import { adminPrograms } from "./admin_programs.ts";
import { type CoreSettings, coreSettings } from "./core_settings.ts";
import { daemonExchange } from "./daemon_exchange.ts";
import { LockCore } from "./lock_core.ts";

/** What a daemon is built from. */
export interface DaemonParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly logs: LogSystem;
  readonly uid: number;
  readonly settings: Settings;
  /** Where they were read from. */
  readonly configurationFile: string;
  /** Seconds without client and lock after which the daemon stops; 0: never. */
  readonly idleTimeout: number;
  /** Makes requests durable; undefined when a crash loses everything anyway. */
  readonly recorder: LockRecorder | undefined;
  /** How to start this program: its command line without the arguments of this daemon. */
  readonly program: HelperCommand;
  /** Socket of the process that starts storage helpers, from an earlier image. */
  readonly storageStarter: number | undefined;
  /** Socket behind which the service manager starts storage helpers that become another user. */
  readonly deputySocket: string;
  /** Where a link with etcd is started, for a host that is in a cluster. */
  readonly linkSocket: string;
  /** Where a process is started that fences a host of the cluster. */
  readonly fenceSocket: string;
  /** Where it is kept which cluster this host is a member of. */
  readonly membershipFile: string;
  /** Of which daemons this one is: see src/lockd/cluster/keys/lineage.ts. */
  readonly lineage: string;
  /** Tries of these daemons to get locks of the cluster's that were granted to nobody. */
  readonly tries: readonly UngrantedTry[];
  /** Told when these have changed. */
  readonly triesChanged: () => void;
  /** Told when the number of clients or locks may have changed. */
  readonly changed: () => void;
  /** Told when a lockspace was registered, or is on another file system than before. */
  readonly lockspacePlaced: () => void;
}

/** Replies need not wait: nothing outlives this process. */
const VOLATILE: Durability = {
  settle: () => "volatile",
  inputChanged: () => {},
  outputChanged: () => {},
};

/**
 * The daemon's parts, put together: event loop, lock core, servers. How it starts and ends is
 * serve.ts's business.
 */
export class Daemon {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly logs: LogSystem;
  /** Of which daemons this one is: see src/lockd/cluster/keys/lineage.ts. */
  readonly lineage: string;
  /** What the configuration says of locks. */
  readonly settings: CoreSettings;
  /** The lock core, whose parts are at hand here too. */
  readonly #core: LockCore;
  readonly lockServer: RpcServer;
  readonly adminServer: RpcServer;
  readonly exchange: Exchange;
  readonly idleTimer: IdleTimer;
  readonly metrics: Metrics;
  /** How crash safety is, for `virtlockd status`; nothing before it has begun. */
  crashSections: () => Omit<Sections, "storage"> = () => ({});
  readonly log: Log = getLog("locking.lock_daemon", "src/lockd/daemon/daemon.ts");
  #ending = false;

  /** @throws StartError when the kernel gives no memory */
  constructor(parts: DaemonParts) {
    const { sys, loop, ledger, settings, recorder } = parts;
    this.sys = sys;
    this.loop = loop;
    this.ledger = ledger;
    this.logs = parts.logs;
    this.lineage = parts.lineage;
    this.settings = coreSettings(settings);
    this.metrics = new Metrics(Date.now());
    const observer = this.#observer(parts);
    this.#core = new LockCore({
      ...parts,
      clusterSettings: settings,
      settings: this.settings,
      observer,
      recorded: (go) => recorder === undefined ? go() : recorder.log.whenRecorded(go),
    });
    this.exchange = daemonExchange(sys, recorder);
    const shared = {
      sys,
      loop,
      ledger,
      exchange: this.exchange,
      uid: parts.uid,
      observer,
      durability: recorder?.log ?? VOLATILE,
      clock: () => sys.monotonic(),
      now: () => Date.now(),
      log: getLog("rpc.netserver", "src/chassis/rpc/server.ts"),
    };
    const { table, reaper, watch, namespaces } = this.#core;
    this.lockServer = new RpcServer({
      ...shared,
      name: "virtlockd",
      ordinal: 0,
      programs: [lockProgram({ table, reaper, watch, namespaces, observer })],
      limits: { maxClients: settings.maxClients, maxAnonymousClients: settings.maxClients },
    });
    this.adminServer = new RpcServer({
      ...shared,
      name: "admin",
      ordinal: 1,
      programs: adminPrograms({
        sys,
        ledger,
        logs: parts.logs,
        metrics: this.metrics,
        core: this.#core,
        configurationFile: parts.configurationFile,
        servers: () => this.servers,
        idleTimer: () => this.idleTimer,
        crashSections: () => this.crashSections(),
        clusterSettings: settings,
        shutdown: () => this.shutdown(),
      }),
      limits: { maxClients: settings.adminMaxClients, maxAnonymousClients: settings.adminMaxClients },
    });
    this.idleTimer = new IdleTimer(
      loop,
      parts.idleTimeout,
      () => this.clientCount === 0 && this.table.resourceCount === 0,
      () => {
        this.log.info(`No client and no lock for ${this.idleTimer.seconds} s: stopping`);
        this.shutdown();
      },
    );
  }

  get storage(): Storage {
    return this.#core.storage;
  }

  /** Undefined for a host that is in no cluster. */
  get cluster(): Cluster | undefined {
    return this.#core.cluster;
  }

  get table(): LockTable {
    return this.#core.table;
  }

  get reaper(): HolderReaper {
    return this.#core.reaper;
  }

  get watch(): OwnerWatch {
    return this.#core.watch;
  }

  get namespaces(): PidNamespaces {
    return this.#core.namespaces;
  }

  /** What owners' processes write. */
  get sights(): Sights {
    return this.#core.sights;
  }

  /** Locks of owners that are gone. */
  get settler(): Settler {
    return this.#core.settler;
  }

  get guard(): PosixGuard {
    return this.#core.guard;
  }

  /** The two servers, in the order of the admin protocol. */
  get servers(): readonly RpcServer[] {
    return [this.lockServer, this.adminServer];
  }

  /** Clients of both servers. */
  get clientCount(): number {
    return this.lockServer.clients.size + this.adminServer.clients.size;
  }

  /** Begins to serve: {@link run} does it. */
  start(): void {
    for (const server of this.servers) server.startAccepting();
    this.idleTimer.check();
  }

  /** Serves until {@link shutdown}. */
  run(): void {
    this.loop.run();
  }

  /** Whether {@link shutdown} was asked for: what is in service finishes, and nothing new begins. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Stops accepting, lets what is in service finish, then makes {@link run} return. */
  shutdown(): void {
    if (this.#ending) return;
    this.#ending = true;
    for (const server of this.servers) server.stopAccepting();
    this.table.stopWaiting();
    this.#finish();
  }

  /** The cluster does not grant a lock that this host has. */
  #doubt(resource: Resource, reason: string): void {
    const { handle, state } = resource;
    // Of what was given up by a word it is known by now that another host has it.
    if (handle.kind === "file" && (state.kind === "held" || (isGivenUp(state) && isLoss(reason)))) {
      this.table.recast(resource, handle.lock, { kind: "doubtful", reason });
    }
  }

  /** It grants it again. */
  #certain(resource: Resource): void {
    const { handle, state } = resource;
    if (handle.kind === "file" && state.kind === "doubtful") this.table.recast(resource, handle.lock, HELD);
  }

  /** A child of the owner's process may have its socket still; nobody may speak for the dead. */
  #endConnections(key: OwnerKey): void {
    for (const { clientId } of [...this.watch.connections(key)]) {
      this.lockServer.clients.get(clientId)?.end("its process has ended");
    }
  }

  /** Who is told what happens: the journal first, then log and metrics, then the parts themselves. */
  #observer({ loop, recorder, changed, lockspacePlaced }: DaemonParts): DaemonObserver {
    const check = () => {
      this.idleTimer.check();
      changed();
    };
    return combineObservers([
      ...(recorder === undefined ? [] : [recorder.observer]),
      eventLog(new Repeats((milliseconds, task) => loop.after(milliseconds, task))),
      storageLog(getLog("locking.storage", "src/lockd/storage/storage.ts")),
      this.metrics,
      clusterLog(getLog("locking.cluster", "src/lockd/cluster/cluster.ts")),
      {
        clusterDoubtful: (resource, reason) => this.#doubt(resource, reason),
        clusterRegained: (resource) => this.#certain(resource),
      },
      { gone: ({ key }) => this.#endConnections(key) },
      {
        granted: ({ path }, { owner }) => {
          const key = ownerKey(owner);
          // Where other hosts use the disk, its lock must not depend on whether there is time to look.
          const soon = this.cluster?.covers(path) === true ? "at once" : "later";
          this.sights.granted(key, soon, this.table.ownedCount(key) === 1);
        },
        givenBack: ({ holdings: [holding] }) => {
          if (holding !== undefined) this.sights.granted(ownerKey(holding.owner));
        },
        dying: ({ key }) => this.sights.dying(key),
        settled: ({ key }) => this.sights.forget(key),
      },
      { connected: check, disconnected: () => loop.defer(check), released: check, granted: check },
      { lockspacePlaced: () => lockspacePlaced() },
    ]);
  }

  /** Waits for requests in service: each has a time limit of its own. */
  #finish(): void {
    const busy = this.servers.some((server) => [...server.clients.values()].some((client) => client.running));
    if (busy) this.loop.after(10, () => this.#finish());
    else this.loop.stop();
  }
}
