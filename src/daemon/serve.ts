import { isatty } from "node:tty";
import type { DaemonOptions } from "../config/options.ts";
import { DEFAULT_SETTINGS, type LoadedSettings } from "../config/settings.ts";
import { LogConfigError } from "../log/log_config_error.ts";
import type { LogSystem } from "../log/log_system.ts";
import type { DescriptorLedger } from "../os/ledger.ts";
import { dropPermissions } from "../os/runtime.ts";
import type { Sys } from "../os/sys.ts";
import { SystemError } from "../os/system_error.ts";
import type { DaemonExtension, RestartState } from "../restart/state.ts";
import { readActivation } from "../systemd/activation.ts";
import { NotifySocket } from "../systemd/notify.ts";
import { ServiceStatus } from "../systemd/service_status.ts";
import { Daemon } from "./daemon.ts";
import type { StartReport } from "./launch.ts";
import { PidFile } from "./pid_file.ts";
import { ReExec } from "./re_exec.ts";
import { reload } from "./reload.ts";
import { restore } from "./restore.ts";
import type { SelfImage } from "./self.ts";
import { watchSignals } from "./signals.ts";
import { adoptListener, listenOn, makeRunDirectory, socketRole } from "./sockets.ts";
import {
  type Environment,
  loggingFor,
  readSettings,
  type StartContext,
  startContext,
  startLogging,
  startLoop,
} from "./start.ts";
import { ExitCode, StartError } from "./start_error.ts";
import { StateFile } from "./state_file.ts";

/** Purpose under which the PID file's locked descriptor is handed over. */
const PID_FILE = "pid-file";

/** What a daemon process starts with. */
export interface ServeParts {
  readonly sys: Sys;
  readonly self: SelfImage;
  readonly options: DaemonOptions;
  readonly env: Environment;
  /** Working directory of the process. */
  readonly cwd: string;
  readonly report: StartReport;
}

/**
 * The daemon's life in this process image: start or take over, serve, end.
 *
 * @returns exit code
 * @throws StartError, SystemError when it cannot start
 */
export function serve(parts: ServeParts): number {
  const logs = startLogging(parts.sys);
  try {
    return live(parts, logs);
  } catch (error) {
    logs.abandonStart();
    throw error;
  } finally {
    logs.close();
  }
}

function live({ sys, self, options, env, cwd: directory, report }: ServeParts, logs: LogSystem): number {
  const pid = sys.pid();
  const stateFile = new StateFile(sys, startContext(sys, options, env, directory).paths.restartState);
  const taken = stateFile.take(pid);
  const state = taken?.kind === "state" ? taken.state : undefined;
  const cwd = state?.extension?.cwd ?? directory;
  const context = startContext(sys, options, env, cwd);
  const { paths, uid } = context;
  // Whoever holds locks must not exit because a file was edited meanwhile.
  const forgive = state !== undefined;
  const complaints: string[] = [];
  const loaded = attempt(forgive, complaints, () => readSettings(context)) ?? NO_SETTINGS;
  sys.setThreadName("virtlockd");
  sys.umask(uid === 0 ? 0o022 : 0o077);
  if (options.daemon) sys.chdir("/");
  makeRunDirectory(sys, paths.runDir, 0o755);
  const { loop, ledger } = startLoop(sys);
  const pidFile = attempt(forgive, complaints, () => takePidFile(sys, ledger, paths.pidFile, pid, state));
  const logging = () => loggingFor(context, readSettings(context), isatty(0));
  attempt(forgive, complaints, () => {
    makeLogDirectory(context);
    logs.configure(loggingFor(context, loaded, isatty(0)));
  });
  raiseFileLimit(sys);
  const daemon = new Daemon({
    sys,
    loop,
    ledger,
    logs,
    uid,
    settings: loaded.settings,
    idleTimeout: state?.extension?.settings.timeout ?? options.timeout ?? 0,
    changed: () => status.changed(),
  });
  const configured = { outputs: logs.outputsText(), filters: logs.filtersText() };
  const notifyAddress = env["NOTIFY_SOCKET"] ?? lostNotifyAddress(sys, state);
  const notify = NotifySocket.connect(sys, ledger, notifyAddress);
  if (notify !== undefined && !(notify instanceof NotifySocket)) {
    daemon.log.warn(
      new SystemError("connect", `NOTIFY_SOCKET ${notifyAddress}`, notify.errno).message,
    );
  }
  const status = new ServiceStatus(sys, loop, notify instanceof NotifySocket ? notify : undefined, () => {
    return `${daemon.clientCount} clients, ${daemon.table.resourceCount} locks`;
  });
  for (const complaint of complaints) daemon.log.error(complaint);
  for (const warning of loaded.warnings) daemon.log.warn(warning);
  if (taken?.kind === "stale") {
    daemon.log.warn(`Ignored a restart state that was meant for process ${taken.magic}, this one is ${pid}`);
  }
  if (state !== undefined) {
    restore(daemon, state);
    daemon.metrics.restore(state.extension?.statistics);
    daemon.metrics.reExecuted(stateFile.bytesTaken);
    attempt(true, complaints, () => restoreLogging(logs, state));
    daemon.log.info(`Took over ${daemon.clientCount} clients and ${daemon.table.resourceCount} locks`);
  }
  openSockets(context, daemon);
  dropPermissions();
  const reExec = new ReExec({
    daemon,
    self,
    stateFile,
    extension: (): DaemonExtension => ({
      dying: daemon.reaper.dying,
      parked: daemon.guard.parked.map(({ fd }) => fd),
      kept: pidFile === undefined ? [] : [{ purpose: PID_FILE, fd: pidFile.fd }],
      settings: {
        ...(logs.outputsText() === configured.outputs ? {} : { logOutputs: logs.outputsText() }),
        ...(logs.filtersText() === configured.filters ? {} : { logFilters: logs.filtersText() }),
        timeout: daemon.idleTimer.seconds,
      },
      cwd,
      statistics: daemon.metrics.snapshot(),
      journal: null,
      notify: null,
    }),
    leaveStore: (done) => done(undefined),
    announce: (what) => what === "leaving" ? status.reloading() : status.ready(pid),
  });
  watchSignals(sys, loop, ledger, {
    reExec: () => reExec.request(),
    reload: () => {
      status.reloading();
      reload(daemon, () => ({ loaded: readSettings(context), logging: logging() }));
      status.ready(pid);
    },
    terminate: () => {
      status.stopping();
      daemon.shutdown();
    },
  });
  daemon.start();
  status.ready(pid);
  report.ready();
  daemon.run();
  warnOfLocks(daemon);
  for (const server of daemon.servers) {
    for (const listener of server.listeners) if (listener.unlink) sys.unlink(listener.path);
  }
  pidFile?.remove();
  return ExitCode.OK;
}

const NO_SETTINGS: LoadedSettings = { settings: DEFAULT_SETTINGS, warnings: [] };

/** systemd's own notify socket. */
const SYSTEM_NOTIFY = "/run/systemd/notify";

/** libvirt's daemon takes NOTIFY_SOCKET out of the environment: what it hands over as a system service lacks it. */
function lostNotifyAddress(sys: Sys, state: RestartState | undefined): string | undefined {
  const fromLibvirt = state !== undefined && state.extension === undefined;
  return fromLibvirt && sys.uid() === 0 && sys.access(SYSTEM_NOTIFY, 0) === 0 ? SYSTEM_NOTIFY : undefined;
}

/** Runs a step of the start; when `forgive`, its failure is only noted. */
function attempt<T>(forgive: boolean, complaints: string[], step: () => T): T | undefined {
  try {
    return step();
  } catch (error) {
    const known = error instanceof StartError || error instanceof SystemError ||
      error instanceof LogConfigError;
    if (!known || !forgive) throw error;
    complaints.push(error.message);
    return undefined;
  }
}

/** The PID file: handed over with its lock held, or locked now. */
function takePidFile(
  sys: Sys,
  ledger: DescriptorLedger,
  path: string,
  pid: number,
  state: RestartState | undefined,
): PidFile {
  const kept = state?.extension?.kept.find(({ purpose }) => purpose === PID_FILE);
  return kept === undefined
    ? PidFile.acquire(sys, ledger, path, pid)
    : new PidFile(sys, ledger, path, kept.fd);
}

/** Log settings that an administrator changed at runtime. */
function restoreLogging(logs: LogSystem, state: RestartState): void {
  const { logOutputs, logFilters } = state.extension?.settings ?? {};
  if (logOutputs !== undefined) logs.setOutputs(logOutputs);
  if (logFilters !== undefined) logs.setFilters(logFilters);
}

/** Listens where no earlier image and no service manager has left a socket. */
function openSockets({ sys, paths, env }: StartContext, daemon: Daemon): void {
  const { descriptors } = readActivation((name) => env[name], sys.pid());
  for (const { fd, name } of descriptors) {
    const role = socketRole(sys, fd, name, paths.adminSocket);
    if (role === undefined) continue;
    (role === "admin" ? daemon.adminServer : daemon.lockServer).listen(adoptListener(sys, fd));
  }
  if (daemon.lockServer.listeners.length === 0) daemon.lockServer.listen(listenOn(sys, paths.socket));
  if (daemon.adminServer.listeners.length === 0) daemon.adminServer.listen(listenOn(sys, paths.adminSocket));
}

/** The default log file's directory is ours to make; that of one that an administrator named is not. */
function makeLogDirectory({ sys, paths, uid }: StartContext): void {
  const directory = paths.logFile.slice(0, paths.logFile.lastIndexOf("/"));
  makeRunDirectory(sys, directory, uid === 0 ? 0o700 : 0o755);
}

/** One descriptor per lock, one or two per client: as many as the administrator allows. */
function raiseFileLimit(sys: Sys): void {
  const limit = sys.fileLimit();
  if (typeof limit === "number") return;
  const [soft, hard] = limit;
  if (soft < hard) sys.setFileLimit(hard, hard);
}

/** Whoever stops a lock daemon should know which guests run on without protection. */
function warnOfLocks({ table, log }: Daemon): void {
  if (table.resourceCount === 0) return;
  const domains = new Set<string>();
  for (const resource of table.resources()) {
    for (const { owner } of resource.holdings) domains.add(owner.name);
  }
  log.warn(`Stopping with ${table.resourceCount} locks held, for the domains ${[...domains].join(", ")}`);
}
