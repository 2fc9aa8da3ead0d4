import { EventLoop } from "../../chassis/event/event_loop.ts";
import { HolderReaper } from "../lockspace/holder_reaper.ts";
import { hasOpenForWriting } from "../lockspace/open_files.ts";
import { Settler } from "../lockspace/settler.ts";
import { Sights } from "../lockspace/sights.ts";
import { ownerKey } from "../lockspace/owner.ts";
import { OwnerWatch } from "../lockspace/owner_watch.ts";
import { PidNamespaces } from "../lockspace/pid_namespaces.ts";
import { LockTable } from "../lockspace/lock_table.ts";
import type { OwnerKey } from "../lockspace/owner.ts";
import { ManualRelease } from "../lockspace/manual_release.ts";
import { PosixGuard } from "../lockspace/posix_guard.ts";
import type { HelperCommand } from "../storage/program_run.ts";
import { Storage } from "../storage/storage.ts";
import { storageLog } from "../storage/storage_log.ts";
import type { LockRecorder } from "../journal/lock_recorder.ts";
import { getLog, type Log } from "../../chassis/log/log.ts";
import { Repeats } from "../../chassis/log/repeats.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import { DescriptorLedger } from "../../os/ledger.ts";
import { SystemError } from "../../os/system_error.ts";
import type { Sys } from "../../os/sys.ts";
import { adminProgram } from "../../chassis/admin/admin_program.ts";
import { lockProgram } from "../programs/lock_program.ts";
import type { Sections } from "../status/status_document.ts";
import { statusProgram } from "../status/status_program.ts";
import { CountedExchange } from "../../chassis/rpc/counted_exchange.ts";
import type { Exchange } from "../../chassis/rpc/exchange.ts";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../chassis/rpc/plain_exchange.ts";
import type { Program } from "../../chassis/rpc/program.ts";
import { RpcServer } from "../../chassis/rpc/server.ts";
import type { Durability } from "../../chassis/rpc/durability.ts";
import { VERSION } from "../../chassis/config/build_config.ts";
import type { Settings } from "../identity/settings.ts";
import { eventLog } from "../reporting/event_log.ts";
import { IdleTimer } from "../../chassis/start/idle_timer.ts";
import { Introspection } from "../reporting/introspection.ts";
import { Metrics } from "../reporting/metrics.ts";
import { combineObservers, type DaemonObserver } from "../reporting/observers.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";

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
  readonly storage: Storage;
  /** Time limit of an operation on storage that may hang, in seconds. */
  storageTimeout: number;
  /** Whether a paused guest may go on although another one has used its disk. */
  allowStaleResume: boolean;
  /**
   * How long the lock of an owner that is gone stays when nothing tells whether its writes have landed, in
   * seconds.
   */
  settleTimeout: number;
  /** Directories in which lease files are made, with what has to be mounted there. */
  lockDirectories: Settings["lockspaces"];
  readonly watch: OwnerWatch;
  /** What owners' processes write. */
  readonly sights: Sights;
  /** Locks of owners that are gone. */
  readonly settler: Settler;
  readonly namespaces: PidNamespaces;
  readonly table: LockTable;
  readonly guard: PosixGuard;
  readonly reaper: HolderReaper;
  readonly manualRelease: ManualRelease;
  readonly lockServer: RpcServer;
  readonly adminServer: RpcServer;
  readonly exchange: Exchange;
  readonly idleTimer: IdleTimer;
  readonly metrics: Metrics;
  /** How crash safety is, for `virtlockd status`; nothing before it has begun. */
  crashSections: () => Omit<Sections, "storage"> = () => ({});
  readonly log: Log = getLog("locking.lock_daemon", "src/lockd/daemon/daemon.ts");
  readonly #observer: DaemonObserver;
  #ending = false;

  /** @throws StartError when the kernel gives no memory */
  constructor(parts: DaemonParts) {
    const { sys, loop, ledger, settings } = parts;
    this.sys = sys;
    this.loop = loop;
    this.ledger = ledger;
    this.logs = parts.logs;
    const now = () => Date.now();
    const clock = () => sys.monotonic();
    const check = () => {
      this.idleTimer.check();
      parts.changed();
    };
    this.metrics = new Metrics(now());
    const { recorder } = parts;
    this.#observer = combineObservers([
      ...(recorder === undefined ? [] : [recorder.observer]),
      eventLog(new Repeats((milliseconds, task) => loop.after(milliseconds, task))),
      storageLog(getLog("locking.storage", "src/lockd/storage/storage.ts")),
      this.metrics,
      { gone: ({ key }) => this.#endConnections(key) },
      {
        granted: (_resource, { owner }) => this.sights.granted(ownerKey(owner)),
        dying: ({ key }) => this.sights.dying(key),
        settled: ({ key }) => this.sights.forget(key),
      },
      { connected: check, disconnected: () => loop.defer(check), released: check, granted: check },
      { lockspacePlaced: () => parts.lockspacePlaced() },
    ]);
    this.guard = new PosixGuard(ledger);
    this.storage = new Storage({
      sys,
      loop,
      ledger,
      guard: this.guard,
      self: parts.program,
      timeLimit: () => this.storageTimeout * 1000,
      observer: this.#observer,
      now,
      inherited: parts.storageStarter,
      deputySocket: parts.deputySocket,
      sightOf: (key) => this.sights.of(key),
    });
    this.storageTimeout = settings.storageTimeout;
    this.settleTimeout = settings.settleTimeout;
    this.lockDirectories = settings.lockspaces;
    this.allowStaleResume = settings.allowStaleResume;
    this.watch = new OwnerWatch({ sys, loop, ledger });
    this.namespaces = new PidNamespaces({ sys, loop, ledger });
    this.sights = new Sights({
      sys,
      loop,
      clock,
      pidOf: (key) => this.watch.processOf(key)?.pid,
      owns: (key) => this.table.owns(key),
    });
    this.settler = new Settler({
      witness: this.storage.witness,
      observer: this.#observer,
      after: (milliseconds, task) => loop.after(milliseconds, task),
      clock,
      bound: () => this.settleTimeout * 1000,
    });
    this.table = new LockTable({
      watch: this.watch,
      opened: (pid, sought) => hasOpenForWriting(sys, pid, sought),
      staleResumeAllowed: () => this.allowStaleResume,
      settler: this.settler,
      loop,
      patience: () => this.storageTimeout * 1000,
      files: this.storage.files,
      ledger,
      guard: this.guard,
      observer: this.#observer,
      findHolder: this.storage.findHolder,
      places: this.storage.places,
      allowed: (path) => {
        const source = this.lockDirectories.get(path);
        return source !== undefined || this.lockDirectories.has(path) ? { source } : undefined;
      },
      now,
    });
    const { table, watch } = this;
    this.reaper = new HolderReaper({ sys, loop, watch, table, observer: this.#observer, now });
    this.manualRelease = new ManualRelease({
      table,
      reaper: this.reaper,
      witness: this.storage.witness,
      observer: this.#observer,
    });
    this.exchange = recorder?.log.keepsDescriptors !== true
      ? plainExchange(sys)
      : new CountedExchange(sys, recorder.log.exchangeMemory.memory, recorder.log.exchangeMemory.offset);
    const shared = {
      sys,
      loop,
      ledger,
      exchange: this.exchange,
      uid: parts.uid,
      observer: this.#observer,
      durability: recorder?.log ?? VOLATILE,
      clock,
      now,
      log: getLog("rpc.netserver", "src/chassis/rpc/server.ts"),
    };
    this.lockServer = new RpcServer({
      ...shared,
      name: "virtlockd",
      ordinal: 0,
      programs: [
        lockProgram({
          table,
          reaper: this.reaper,
          watch,
          namespaces: this.namespaces,
          observer: this.#observer,
        }),
      ],
      limits: { maxClients: settings.maxClients, maxAnonymousClients: settings.maxClients },
    });
    this.adminServer = new RpcServer({
      ...shared,
      name: "admin",
      ordinal: 1,
      programs: this.#adminPrograms(parts.configurationFile),
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

  /** A child of the owner's process may have its socket still; nobody may speak for the dead. */
  #endConnections(key: OwnerKey): void {
    for (const { clientId } of [...this.watch.connections(key)]) {
      this.lockServer.clients.get(clientId)?.end("its process has ended");
    }
  }

  #adminPrograms(configurationFile: string): Program[] {
    const { sys, table, logs, metrics } = this;
    const servers = () => this.servers;
    const introspection = new Introspection({
      sys,
      version: VERSION,
      configurationFile,
      ledger: this.ledger,
      table,
      reaper: this.reaper,
      settler: this.settler,
      servers,
      logs,
      metrics,
      idleTimeout: () => this.idleTimer.seconds,
      storage: () => this.storage.status,
      sections: () => ({ storage: storageSection(this.storage), ...this.crashSections() }),
      now: () => Date.now(),
    });
    const administered = {
      servers,
      logs,
      setIdleTimeout: (seconds: number) => {
        this.idleTimer.seconds = seconds;
      },
      // The journal keeps the state for the next start in any case.
      shutdown: () => this.shutdown(),
      userName: (uid: number) => sys.userName(uid),
      groupName: (gid: number) => sys.groupName(gid),
    };
    return [
      adminProgram(administered, VERSION),
      statusProgram({
        table,
        reaper: this.reaper,
        manualRelease: this.manualRelease,
        servers,
        status: () => introspection.status(),
        metrics: () => introspection.metrics(),
      }),
    ];
  }

  /** Waits for requests in service: each has a time limit of its own. */
  #finish(): void {
    const busy = this.servers.some((server) => [...server.clients.values()].some((client) => client.running));
    if (busy) this.loop.after(10, () => this.#finish());
    else this.loop.stop();
  }
}

/** An exchange in memory that ends with the process. @throws StartError when there is none */
function plainExchange(sys: Sys): Exchange {
  const memory = sys.map(-1, PLAIN_EXCHANGE_SIZE);
  if (typeof memory === "number") {
    throw new StartError(ExitCode.INITIALISATION, new SystemError("mmap", "messages", memory).message);
  }
  return new PlainExchange(sys, memory);
}

/** Mounts that have, or had, a helper process, with how they answer. */
function storageSection(storage: Storage): Sections["storage"] {
  return Object.fromEntries(
    storage.status.flatMap(({ mount, state }) => mount === undefined ? [] : [[mount.point, state]]),
  );
}
