import { dropPermissions, isTerminal } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { VERSION } from "../../chassis/config/build_config.ts";
import { counted } from "../../chassis/log/counted.ts";
import { getLog } from "../../chassis/log/log.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import { type LifeParts, liveLogging } from "../../chassis/start/life.ts";
import { PidFile } from "../../chassis/start/pid_file.ts";
import { reload } from "../../chassis/start/reload.ts";
import { type Applied, WaitingSettings } from "../../chassis/start/waiting_settings.ts";
import { watchSignals } from "../../chassis/start/signals.ts";
import { type DaemonSocket, openSockets } from "../../chassis/start/open_sockets.ts";
import type { NamedDescriptor } from "../../chassis/systemd/activation.ts";
import { SocketWatch } from "../../chassis/start/socket_watch.ts";
import { StartPause } from "../../chassis/start/start_pause.ts";
import { makeDirectories, makeRunDirectory, refuseServed } from "../../chassis/start/sockets.ts";
import {
  configureLog,
  loggingFor,
  readConfiguration,
  readSettings,
  type StartContext,
  startContext,
  startLoop,
} from "../../chassis/start/start.ts";
import { ExitCode } from "../../chassis/start/start_error.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import { NotifySocket } from "../../chassis/systemd/notify.ts";
import { NotifyQueue } from "../../chassis/systemd/notify_queue.ts";
import { ServiceStatus } from "../../chassis/systemd/service_status.ts";
import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { VIRTSTORAGED } from "../identity/identity.ts";
import { type Settings, STORAGE_SETTINGS } from "../identity/settings.ts";
import { makeStorage } from "./make_storage.ts";
import { findPkcheck } from "./polkit_authority.ts";
import { type SocketRights, socketRights } from "./socket_rights.ts";
import { policyOf, StorageDaemon } from "./storage_daemon.ts";

/**
 * The daemon's life: start, serve, end.
 *
 * @returns exit code
 * @throws StartError, SystemError when it cannot start
 */
export function serve(parts: LifeParts): number {
  return liveLogging(VIRTSTORAGED, parts.sys, (logs, unfinished) => live(parts, logs, unfinished));
}

/** @param unfinished gets what undoes the start as far as it has come; empty once the daemon serves */
function live(parts: LifeParts, logs: LogSystem, unfinished: (() => void)[]): number {
  const { sys, self, options, env, cwd, report, complaints } = parts;
  const pid = sys.pid();
  const context = startContext(VIRTSTORAGED, sys, options, env, cwd);
  const { settings, warnings } = readSettings(context, STORAGE_SETTINGS);
  const inherited = readActivation((name) => env[name], pid).descriptors;
  const paths = socketPaths(context, settings);
  prepareProcess(context, paths);
  const { loop, ledger } = startLoop(sys);
  const pidFile = PidFile.acquire(sys, ledger, context.paths.pidFile, pid, VIRTSTORAGED);
  unfinished.push(() => pidFile.remove());
  configureLog(context, logs, loggingFor(context, { settings, warnings: [] }, isTerminal("stdin")));
  if (inherited.length === 0) refuseServed(sys, paths.readWrite);
  const rights = socketRights(settings, context.uid === 0, findPkcheck(sys) !== undefined);
  const notify = connectNotify(sys, loop, ledger, env["NOTIFY_SOCKET"]);
  let changed = () => {};
  let current = settings;
  const waiting = new WaitingSettings(settings, TAKEN_BY_RESTART);
  const daemon = new StorageDaemon({
    sys,
    loop,
    ledger,
    logs,
    uid: context.uid,
    settings,
    idleTimeout: options.timeout ?? 0,
    self,
    method: rights.method,
    makeService: makeStorage({ context, loop, ledger, settings: () => current }),
    changed: () => changed(),
  });
  unfinished.push(() => daemon.service.close(), () => unlinkSockets(sys, daemon));
  const status = new ServiceStatus(sys, loop, notify, () => statusText(daemon));
  changed = () => status.changed();
  for (const complaint of complaints) daemon.log.error(`Started in spite of this: ${complaint}`);
  for (const warning of [...warnings, ...rights.warnings]) daemon.log.warn(warning);
  openSockets(sys, VIRTSTORAGED, socketsOf(daemon, paths, rights, inherited), inherited, (open) => open());
  dropPermissions();
  watchSignals(sys, loop, ledger, {
    reExec: () => daemon.log.warn("SIGUSR1 means nothing to this daemon"),
    reload: () => {
      status.reloading();
      const read = () => readConfiguration(context, STORAGE_SETTINGS, isTerminal("stdin"));
      reload(logs, daemon.log, read, appliedTo(daemon, (taken) => void (current = taken)), waiting);
      daemon.service.reload();
      status.ready(pid);
    },
    terminate: () => {
      status.stopping();
      daemon.shutdown();
    },
  });
  const servers = [daemon.storageServer, daemon.adminServer];
  new SocketWatch({ sys, loop, ledger, log: daemon.log, servers, replaced: () => {} });
  daemon.start();
  unfinished.length = 0;
  new StartPause(sys, context.paths.startFailures).succeeded();
  daemon.log.info(`${VIRTSTORAGED.name} ${VERSION} serves ${paths.readWrite}`);
  status.ready(pid);
  report.ready();
  daemon.run();
  daemon.service.close();
  daemon.workers.close();
  unlinkSockets(sys, daemon);
  pidFile.remove();
  return ExitCode.OK;
}

/** Where the daemon listens. */
interface SocketPaths {
  readonly readWrite: string;
  /** Undefined in a session, whose daemon has none. */
  readonly readOnly: string | undefined;
  readonly admin: string;
}

function socketPaths({ paths, uid }: StartContext, { socketDirectory }: Settings): SocketPaths {
  const place = (path: string) =>
    socketDirectory === undefined ? path : socketDirectory + path.slice(path.lastIndexOf("/"));
  return {
    readWrite: place(paths.socket),
    readOnly: uid === 0 ? place(paths.readOnlySocket) : undefined,
    admin: place(paths.adminSocket),
  };
}

/**
 * The sockets to be had. Where the service manager has some, one that it does not have is not made: an
 * administrator may have masked it.
 */
function socketsOf(
  { storageServer, adminServer }: StorageDaemon,
  { readWrite, readOnly, admin }: SocketPaths,
  rights: SocketRights,
  inherited: readonly NamedDescriptor[],
): DaemonSocket[] {
  const activated = inherited.length > 0;
  const wanted = activated && !inherited.some(({ name }) => name.endsWith("-ro.socket"))
    ? undefined
    : readOnly;
  return [
    { role: "read-write", path: readWrite, access: rights.readWrite, server: storageServer },
    ...wanted === undefined
      ? []
      : [{ role: "read-only", path: wanted, access: rights.readOnly, server: storageServer } as const],
    { role: "admin", path: admin, access: rights.admin, server: adminServer },
  ];
}

function prepareProcess({ sys, options, paths, uid }: StartContext, { readWrite }: SocketPaths): void {
  sys.setThreadName(VIRTSTORAGED.name);
  sys.umask(uid === 0 ? 0o022 : 0o077);
  if (options.daemon) sys.chdir("/");
  makeRunDirectory(sys, paths.runDir, 0o755);
  makeRunDirectory(sys, readWrite.slice(0, readWrite.lastIndexOf("/")), 0o755);
  // Without it the daemon may log elsewhere, and if not, opening the file tells what is wrong.
  makeDirectories(sys, paths.logFile.slice(0, paths.logFile.lastIndexOf("/")), uid === 0 ? 0o700 : 0o755);
  const limit = sys.fileLimit();
  if (typeof limit !== "number" && limit[0] < limit[1]) sys.setFileLimit(limit[1], limit[1]);
}

/** The service manager, if there is one that can be reached. */
function connectNotify(
  sys: Sys,
  loop: EventLoop,
  ledger: DescriptorLedger,
  address: string | undefined,
): NotifyQueue | undefined {
  const socket = NotifySocket.connect(sys, ledger, address);
  if (socket === undefined) return undefined;
  if (!(socket instanceof NotifySocket)) {
    const { message } = new SystemError("connect", `NOTIFY_SOCKET ${address}`, socket.errno);
    const log = getLog("storage.storage_daemon", "src/storaged/daemon/serve.ts");
    log.warn(`${message}; the service manager is told nothing`);
    return undefined;
  }
  // Whoever started the daemon may have gone; that is no reason not to serve.
  return new NotifyQueue(socket, loop, () => {});
}

function statusText(daemon: StorageDaemon): string {
  return `${counted(daemon.clientCount, "client")}, ${counted(daemon.service.jobs.length, "job")}`;
}

/** Those of systemd stay. */
function unlinkSockets(sys: Sys, { storageServer, adminServer }: StorageDaemon): void {
  for (const { path, unlink } of [...storageServer.listeners, ...adminServer.listeners]) {
    if (unlink) sys.unlink(path);
  }
}

/** How what waits comes into use. */
const TAKEN_BY_RESTART =
  `'systemctl restart ${VIRTSTORAGED.name}' takes it over; jobs are waited for, and clients connect again`;

/** What is taken over of a configuration that is read again, and what waits for the next start. */
function appliedTo(
  { storageServer, adminServer }: StorageDaemon,
  take: (settings: Settings) => void,
): Applied<Settings> {
  const policy = (settings: Settings) => void Object.assign(storageServer.policy, policyOf(settings));
  return {
    logLevel: "logging",
    logFilters: "logging",
    logOutputs: "logging",
    maxClients: ({ maxClients }) => storageServer.setLimits({ maxClients }),
    maxAnonymousClients: ({ maxAnonymousClients }) => storageServer.setLimits({ maxAnonymousClients }),
    adminMaxClients: ({ adminMaxClients: maxClients }) =>
      adminServer.setLimits({ maxClients, maxAnonymousClients: maxClients }),
    maxClientRequests: policy,
    keepaliveInterval: policy,
    keepaliveCount: policy,
    streamIdleTimeout: policy,
    socketGroup: { waits: "unix_sock_group" },
    socketDirectory: { waits: "unix_sock_dir" },
    readOnlyPermissions: { waits: "unix_sock_ro_perms" },
    permissions: { waits: "unix_sock_rw_perms" },
    adminPermissions: { waits: "unix_sock_admin_perms" },
    authReadOnly: { waits: "auth_unix_ro" },
    auth: { waits: "auth_unix_rw" },
    storageTimeout: take,
    stopOnFailedRefresh: take,
  };
}
