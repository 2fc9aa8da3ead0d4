import { versionNumber } from "../../chassis/wire/version_number.ts";
import { adminProgram } from "../../chassis/admin/admin_program.ts";
import { VERSION } from "../../chassis/config/build_config.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { getLog, type Log } from "../../chassis/log/log.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import type { Durability } from "../../chassis/rpc/durability.ts";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../chassis/rpc/plain_exchange.ts";
import { RpcServer } from "../../chassis/rpc/server.ts";
import { IdleTimer } from "../../chassis/start/idle_timer.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import type { Settings } from "../identity/settings.ts";
import type { PoolObserver, StorageService } from "../model/storage_service.ts";
import type { AuthMethod } from "../programs/authentication.ts";
import { PoolEvents } from "../programs/pool_events.ts";
import { remoteProgram } from "../programs/remote_program.ts";
import { type ClientPolicy, StorageServer } from "../rpc/storage_server.ts";
import { CallCounts } from "../status/call_counts.ts";
import { statusProgram } from "../status/status_program.ts";
import { Workers } from "../work/workers.ts";
import type { ProgramImage } from "../work/helper_process.ts";
import { clientDocument } from "./client_documents.ts";
import { findPkcheck, PolkitAuthority } from "./polkit_authority.ts";

/** How often the end of jobs is looked for that nobody is connected for, in ms. */
const JOBS_MS = 500;

/** What makes the storage core. */
export type MakeService = (workers: Workers, observer: PoolObserver) => StorageService;

/** What a daemon is built from. */
export interface StorageDaemonParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly logs: LogSystem;
  readonly uid: number;
  readonly settings: Settings;
  /** Seconds without client and job after which the daemon stops; 0: never. */
  readonly idleTimeout: number;
  readonly self: ProgramImage;
  readonly method: (readOnly: boolean) => AuthMethod;
  readonly makeService: MakeService;
  /** Told when the number of clients may have changed. */
  readonly changed: () => void;
}

/** Nothing of the admin socket outlives this process. */
const VOLATILE: Durability = { settle: () => "volatile", inputChanged: () => {}, outputChanged: () => {} };

/** How clients are treated, by the configuration. */
export function policyOf(settings: Settings): ClientPolicy {
  return {
    keepaliveInterval: settings.keepaliveInterval * 1000,
    keepaliveCount: settings.keepaliveCount,
    streamIdle: settings.streamIdleTimeout * 1000,
    mostCalls: settings.maxClientRequests,
  };
}

/** The storage daemon's parts, put together. How it starts and ends is serve.ts's business. */
export class StorageDaemon {
  readonly log: Log = getLog("storage.storage_daemon", "src/storaged/daemon/storage_daemon.ts");
  readonly workers: Workers;
  readonly service: StorageService;
  readonly storageServer: StorageServer;
  readonly adminServer: RpcServer;
  readonly idleTimer: IdleTimer;
  readonly #loop: EventLoop;
  #ending: "no" | "waiting" | "at-once" = "no";

  /** @throws SystemError when the kernel gives no memory */
  constructor(parts: StorageDaemonParts) {
    const { sys, loop, ledger, settings, uid } = parts;
    this.#loop = loop;
    const started = Date.now();
    const calls = new CallCounts();
    const events = new PoolEvents();
    this.workers = new Workers({ sys, loop, ledger, self: parts.self, log: this.log });
    this.service = parts.makeService(this.workers, (event) => events.happened(event));
    const rpcLog = getLog("rpc.netserver", "src/storaged/rpc/storage_server.ts");
    const authority = new PolkitAuthority({
      sys,
      loop,
      ledger,
      uid,
      env: parts.self.env,
      method: parts.method,
      pkcheck: () => findPkcheck(sys),
      log: rpcLog,
    });
    const check = () => {
      this.idleTimer.check();
      parts.changed();
    };
    const program = remoteProgram({
      service: this.service,
      events,
      authority,
      privileged: uid === 0,
      version: versionNumber(VERSION),
    });
    const { maxClients, maxAnonymousClients, adminMaxClients } = settings;
    this.storageServer = new StorageServer({
      name: VIRTSTORAGED.name,
      sys,
      loop,
      ledger,
      programs: [program],
      limits: { maxClients, maxAnonymousClients },
      policy: policyOf(settings),
      uid,
      othersServed: uid === 0,
      observer: {
        connected: check,
        disconnected: () => loop.defer(() => this.#left(check)),
        served: (_program, procedure, code, milliseconds) => calls.served(procedure, code, milliseconds),
      },
      now: () => Date.now(),
      log: rpcLog,
    });
    const facts = () => ({
      version: VERSION,
      pid: sys.pid(),
      started,
      servers: [this.storageServer, this.adminServer].map(({ name, clients, limits }) => ({
        name,
        clients: clients.size,
        clientsMax: limits.maxClients,
      })),
      streams: [...this.storageServer.clients.values()].reduce((sum, client) => sum + client.streams, 0),
      helpers: this.workers.size,
      idleTimeout: this.idleTimer.seconds,
    });
    this.adminServer = new RpcServer({
      sys,
      loop,
      ledger,
      uid,
      name: "admin",
      ordinal: 1,
      exchange: plainExchange(sys),
      programs: [
        adminProgram({
          servers: () => [this.storageServer, this.adminServer],
          logs: parts.logs,
          setIdleTimeout: (seconds) => {
            this.idleTimer.seconds = seconds;
          },
          shutdown: () => this.shutdown(),
          userName: (id) => sys.userName(id),
          groupName: (id) => sys.groupName(id),
        }, VERSION),
        statusProgram({
          service: this.service,
          calls,
          facts,
          clients: () => [...this.storageServer.clients.values()].map(clientDocument),
        }),
      ],
      limits: { maxClients: adminMaxClients, maxAnonymousClients: adminMaxClients },
      observer: { connected: check, disconnected: () => loop.defer(check), served: () => {} },
      durability: VOLATILE,
      clock: () => sys.monotonic(),
      now: () => Date.now(),
      log: rpcLog,
    });
    this.idleTimer = new IdleTimer(loop, parts.idleTimeout, () => this.#idle(), () => {
      this.log.info(`No client and no job for ${this.idleTimer.seconds} s: stopping`);
      this.shutdown();
    });
  }

  /** Clients of both servers. */
  get clientCount(): number {
    return this.storageServer.clients.size + this.adminServer.clients.size;
  }

  /** Begins to serve: {@link run} does it. */
  start(): void {
    this.storageServer.startAccepting();
    this.adminServer.startAccepting();
    this.idleTimer.check();
  }

  /** Serves until {@link shutdown}. */
  run(): void {
    this.#loop.run();
  }

  /**
   * Stops accepting and waits for the jobs under way; asked once more it ends at once, and what was begun is
   * undone.
   */
  shutdown(): void {
    if (this.#ending !== "no") {
      this.#ending = "at-once";
      return;
    }
    this.#ending = "waiting";
    this.storageServer.stopAccepting();
    for (const { id, kind, pool, volume } of this.#jobs) {
      this.log.notice(
        `Stopping when job ${id} is done (${kind} ${pool}${volume === undefined ? "" : `/${volume}`}): ` +
          `see 'virtstoraged jobs', which can cancel it; a second signal ends it now`,
      );
    }
    this.#finish();
  }

  /** Those that somebody waits for. */
  get #jobs() {
    return this.service.jobs.filter(({ givenUp }) => !givenUp);
  }

  #idle(): boolean {
    return this.clientCount === 0 && this.#jobs.length === 0;
  }

  /** A client has gone: what it has begun may go on, and nobody tells of its end. */
  #left(check: () => void): void {
    check();
    if (this.#idle() || this.clientCount > 0 || this.idleTimer.seconds === 0) return;
    this.#loop.after(JOBS_MS, () => this.#left(check));
  }

  #finish(): void {
    const busy = this.#jobs.length > 0 ||
      [...this.adminServer.clients.values()].some((client) => client.running);
    if (!busy || this.#ending === "at-once") return this.#loop.stop();
    this.#loop.after(JOBS_MS, () => this.#finish());
  }
}

/** @throws SystemError when there is no memory */
function plainExchange(sys: Sys): PlainExchange {
  const memory = sys.map(-1, PLAIN_EXCHANGE_SIZE);
  if (typeof memory === "number") throw new SystemError("mmap", "messages", memory);
  return new PlainExchange(sys, memory);
}
