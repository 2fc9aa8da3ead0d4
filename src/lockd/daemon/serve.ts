import { VIRTLOCKD } from "../identity/identity.ts";
import { F_UNLCK } from "../../os/constants.ts";
import { argumentsOf, type DaemonOptions } from "../../chassis/config/options.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { LogConfigError } from "../../chassis/log/log_config_error.ts";
import { counted } from "../../chassis/log/counted.ts";
import { getLog } from "../../chassis/log/log.ts";
import type { LoggingSettings } from "../../chassis/log/log_settings.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { dropPermissions, isTerminal } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { RestartStateError } from "../restart/restart_state_error.ts";
import type { DaemonExtension, EndedOwnerState, KeptDescriptor, RestartState } from "../restart/state.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import { readActivation } from "../../chassis/systemd/activation.ts";
import { NotifySocket } from "../../chassis/systemd/notify.ts";
import { serviceUnit, SYSTEMD_NOTIFY } from "../../chassis/systemd/unit.ts";
import { Watchdog } from "../../chassis/systemd/watchdog.ts";
import { readSmallFile } from "../../os/read_file.ts";
import { ServiceStatus } from "../../chassis/systemd/service_status.ts";
import { announceBeginning, type Past } from "./beginning.ts";
import { CrashSafety } from "./crash_safety.ts";
import { AwaitedLocks } from "./awaited_locks.ts";
import { Daemon } from "./daemon.ts";
import type { StartReport } from "../../chassis/start/launch.ts";
import { learnEnding, reportEnding, unlockAll } from "./ending.ts";
import { GivenUp, noteGivenUp } from "./given_up.ts";
import { InheritedLocks } from "./inherited_locks.ts";
import { readHandover } from "./journal_handover.ts";
import { forgiveConfiguration, forgiveLogging } from "../../chassis/start/forgiving.ts";
import { PidFile } from "../../chassis/start/pid_file.ts";
import { type Owner, ownerKey } from "../lockspace/owner.ts";
import { watchBarePids } from "./bare_pids.ts";
import { ReExec } from "./re_exec.ts";
import { RegisteredLockspaces, registryPath } from "./registered_lockspaces.ts";
import { loadLockspaces, saveLockspaces } from "./kept_lockspaces.ts";
import { reload } from "./reload.ts";
import { restore } from "./restore.ts";
import { StartPause } from "../../chassis/start/start_pause.ts";
import type { SelfImage } from "../../chassis/start/self.ts";
import { watchSignals } from "../../chassis/start/signals.ts";
import { SocketWatch } from "../../chassis/start/socket_watch.ts";
import {
  adoptListener,
  listenOn,
  makeDirectories,
  makeRunDirectory,
  refuseServed,
  socketRole,
} from "../../chassis/start/sockets.ts";
import {
  type Environment,
  loggingFor,
  readConfiguration,
  readSettings,
  type StartContext,
  startContext,
  startLogging,
  startLoop,
} from "../../chassis/start/start.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import { findServiceManager, withVariables } from "./service_manager.ts";
import { StateFile } from "./state_file.ts";

/** Purpose under which the PID file's locked descriptor is handed over. */
const PID_FILE = "pid-file";
/** Purpose of the socket to the process that starts storage helpers. */
const STORAGE_STARTER = "storage-starter";

/** What a daemon process starts with. */
export interface ServeParts {
  readonly sys: Sys;
  readonly self: SelfImage;
  readonly options: DaemonOptions;
  readonly env: Environment;
  /** Working directory of the process. */
  readonly cwd: string;
  readonly report: StartReport;
  /** What was wrong with the command line, and is left out of `options`. */
  readonly mistakes: readonly string[];
  /** Whether guests would lose locks if this start failed for good: then what is wrong is only told. */
  readonly atStake: () => boolean;
}

/**
 * The daemon's life in this process image: start or take over, serve, end.
 *
 * @returns exit code
 * @throws StartError, SystemError, UsageError when it cannot start
 */
export function serve(parts: ServeParts): number {
  const logs = startLogging(VIRTLOCKD, parts.sys);
  const unfinished: (() => void)[] = [];
  try {
    return live(parts, logs, unfinished);
  } catch (error) {
    for (const undo of unfinished.reverse()) undo();
    logs.abandonStart();
    throw error;
  } finally {
    logs.close();
  }
}

/** @param unfinished gets what undoes the start as far as it has come; empty once the daemon serves */
function live(
  { sys, self, options, env, cwd: directory, report, mistakes, atStake }: ServeParts,
  logs: LogSystem,
  unfinished: (() => void)[],
): number {
  const pid = sys.pid();
  const stateFile = new StateFile(
    sys,
    startContext(VIRTLOCKD, sys, options, env, directory).paths.restartState,
  );
  const taken = stateFile.take(pid);
  const handed = taken?.kind === "state" ? taken.state : undefined;
  const cwd = handed?.extension?.cwd ?? directory;
  const context = startContext(VIRTLOCKD, sys, options, env, cwd);
  const { paths, uid } = context;
  const returned = readActivation((name) => env[name], pid).descriptors;
  // Whoever holds locks must not exit because a file was edited meanwhile.
  const forgive = () => handed !== undefined || atStake();
  const complaints: string[] = [];
  const complain = (message: string) => void complaints.push(message);
  if (mistakes[0] !== undefined && !forgive()) throw new UsageError(mistakes[0]);
  for (const mistake of mistakes) {
    complain(`${mistake}; it is left out, correct the arguments of the service`);
  }
  const loaded = unless(
    forgive,
    () => readSettings(context),
    () => forgiveConfiguration(context, complain),
  );
  sys.setThreadName(VIRTLOCKD.name);
  sys.umask(uid === 0 ? 0o022 : 0o077);
  if (options.daemon) sys.chdir("/");
  unless(forgive, () => makeRunDirectory(sys, paths.runDir, 0o755), complain);
  const { loop, ledger } = startLoop(sys);
  // Without a handed-over state or a service manager this may be a second daemon beside one that serves.
  const only = () => (handed !== undefined || returned.length > 0) && forgive();
  const takePid = () => takePidFile(sys, ledger, paths.pidFile, pid, handed);
  const pidFile = unless(only, takePid, (message) => void complain(message));
  unfinished.push(() => pidFile?.remove());
  makeLogDirectory(context);
  const useLogging = (settings: LoggingSettings) => configureLogging(logs, settings);
  unless(
    forgive,
    () => useLogging(loggingFor(context, loaded, isTerminal("stdin"))),
    () => {
      forgiveLogging(context, loaded, isTerminal("stdin"), useLogging, complain);
      logs.abandonStart();
    },
  );
  raiseFileLimit(sys);
  const log = getLog("locking.lock_daemon", "src/lockd/daemon/serve.ts");
  const fromLibvirt = handed !== undefined && handed.extension === undefined;
  const before = readHandover(handed?.extension?.journal);
  const manager = findServiceManager({
    sys,
    loop,
    ledger,
    env: self.env,
    predecessor: handed === undefined
      ? "none"
      : before.store !== "none" && !before.tight
      ? "stored"
      : "unstored",
  });
  if (manager.doubt !== undefined) {
    log.error(
      `Could not learn how many descriptors systemd keeps for this service, and a crash may lose all locks: ` +
        `${manager.doubt}. When 'systemctl show virtlockd' answers again, run: systemctl reload virtlockd`,
    );
  }
  const serviceEnv = { ...env, ...manager.variables };
  const notifyAddress = serviceEnv["NOTIFY_SOCKET"];
  const notify = NotifySocket.connect(sys, ledger, notifyAddress);
  if (notify !== undefined && !(notify instanceof NotifySocket)) {
    const { message } = new SystemError("connect", `NOTIFY_SOCKET ${notifyAddress}`, notify.errno);
    log.warn(`${message}; the service manager is told nothing, and keeps no locks over a crash`);
  }
  if (handed === undefined && returned.length === 0) refuseServed(sys, paths.socket);
  const { maxClients, adminMaxClients } = loaded.settings;
  const safety = new CrashSafety({
    sys,
    loop,
    ledger,
    log,
    env: serviceEnv,
    journalDir: paths.journalDir,
    cwd,
    notify: notify instanceof NotifySocket ? notify : undefined,
    returned,
    handed,
    limits: [maxClients, adminMaxClients].map((limit) => ({ maxClients: limit, maxAnonymousClients: limit })),
  });
  const state = handed ?? safety.recovered;
  // The status is told of by the daemon, which may have something to tell while it is being made.
  let changed = () => {};
  const registered = new RegisteredLockspaces(sys, registryPath(paths));
  const daemon = new Daemon({
    sys,
    loop,
    ledger,
    logs,
    uid,
    settings: loaded.settings,
    idleTimeout: state?.extension?.settings.timeout ?? options.timeout ?? 0,
    journal: safety.journal,
    program: { path: self.path, argv: self.base, env: self.env },
    storageStarter: keptDescriptor(state, STORAGE_STARTER),
    changed: () => changed(),
    lockspacePlaced: () => saveLockspaces(registered, daemon),
  });
  unfinished.push(() => unlinkSockets(daemon));
  const configured = { outputs: logs.outputsText(), filters: logs.filtersText() };
  const status = new ServiceStatus(sys, loop, safety.manager, () => {
    return `${counted(daemon.clientCount, "client")}, ${counted(daemon.table.resourceCount, "lock")}`;
  });
  changed = () => status.changed();
  const inherited = new InheritedLocks({ sys, loop, table: daemon.table, storage: daemon.storage, log });
  for (const warning of loaded.warnings) daemon.log.warn(warning);
  if (taken?.kind === "stale") {
    daemon.log.warn(`Ignored a restart state that was meant for process ${taken.magic}, this one is ${pid}`);
  }
  if (taken?.kind === "link") {
    daemon.log.warn(`Removed ${stateFile.path}: it was a symbolic link, which no daemon puts there`);
  }
  if (state !== undefined) {
    restoreChecked(daemon, state);
    inherited.convert();
    daemon.metrics.restore(state.extension?.statistics);
    if (handed !== undefined) daemon.metrics.reExecuted(stateFile.bytesTaken);
    unless(() => true, () => restoreLogging(logs, state), complain);
  }
  const note = new GivenUp(sys, paths.givenUp);
  announceBeginning(
    daemon,
    handed === undefined ? pastOf(safety.past, note) : { kind: fromLibvirt ? "libvirt" : "image" },
  );
  const bare = handed !== undefined && handed.extension?.watched === undefined
    ? watchBarePids(daemon)
    : { dead: [], unjudged: [] };
  reportUnjudged(daemon, bare.unjudged);
  loadLockspaces(registered, daemon, state?.extension !== undefined);
  const holds = handed !== undefined || daemon.table.resourceCount > 0;
  openSockets(context, daemon, returned, (open) => unless(() => holds, open, complain));
  for (const complaint of complaints) daemon.log.error(`Started in spite of this: ${complaint}`);
  dropPermissions();
  const runtimeSettings = () => ({
    ...(logs.outputsText() === configured.outputs ? {} : { logOutputs: logs.outputsText() }),
    ...(logs.filtersText() === configured.filters ? {} : { logFilters: logs.filtersSetting() }),
  });
  const watchdog = new Watchdog(
    loop,
    safety.manager,
    () => safety.sound && !daemon.table.resources().some(({ lock }) => lock === "posix"),
    log,
  );
  const unit = notifyAddress === SYSTEMD_NOTIFY
    ? serviceUnit(readSmallFile(sys, "/proc/self/cgroup") ?? "")
    : undefined;
  const reExec = new ReExec({
    daemon,
    // The next image has to know too what this one had to find out.
    self: {
      ...(mistakes.length === 0 ? self : withArguments(self, argumentsOf(options))),
      env: withVariables(self.env, manager.variables),
    },
    stateFile,
    extension: (): DaemonExtension => ({
      dying: daemon.reaper.dying,
      watched: watchedProcesses(daemon),
      released: [...daemon.table.parked.all()],
      ...endedOwners(daemon),
      parked: daemon.guard.parked.map(({ fd }) => fd),
      kept: [
        ...keep(PID_FILE, pidFile?.fd),
        ...keep(STORAGE_STARTER, daemon.storage.handover),
        ...safety.kept,
      ],
      settings: {
        ...runtimeSettings(),
        timeout: daemon.idleTimer.seconds,
      },
      cwd,
      statistics: daemon.metrics.snapshot(),
      journal: safety.handover,
      notify: null,
    }),
    locks: inherited,
    leaveStore: (done) => {
      watchdog.hold();
      safety.leave(done);
    },
    watched: unit,
    stayed: () => {
      safety.stay(daemon);
      watchdog.release();
    },
    announce: (what) => what === "leaving" ? status.reloading() : status.ready(pid),
  });
  watchSignals(sys, loop, ledger, {
    reExec: () => reExec.request(),
    reload: () => {
      status.reloading();
      reload(daemon, () => readConfiguration(context, isTerminal("stdin")));
      status.ready(pid);
    },
    terminate: () => {
      status.stopping();
      daemon.shutdown();
    },
  });
  if (handed === undefined) giveLeasesBack(daemon);
  safety.begin(daemon, () => ({
    limits: daemon.servers.map(({ limits }) => ({ ...limits })),
    settings: runtimeSettings(),
    statistics: daemon.metrics.snapshot(),
  }));
  for (const owner of bare.dead) daemon.reaper.free(owner);
  resumeOwners(daemon, handed?.extension?.ended ?? []);
  new SocketWatch({
    sys,
    loop,
    ledger,
    log: daemon.log,
    servers: daemon.servers,
    replaced: () => safety.listening(daemon),
  });
  daemon.start();
  unfinished.length = 0;
  new StartPause(sys, paths.startFailures).succeeded();
  status.ready(pid);
  watchdog.start();
  report.ready();
  new AwaitedLocks({ sys, loop, table: daemon.table, storage: daemon.storage, log }).begin();
  daemon.run();
  reExec.abandon();
  // What is asked from now on waits in its socket: for the next daemon, or for the end of the connection.
  for (const server of daemon.servers) for (const { fd } of server.clients.values()) loop.remove(fd);
  const ending = learnEnding(daemon, self.env, unit, safety.outlives);
  if (ending !== "restarted") noteGivenUp(note, daemon, Date.now());
  reportEnding(daemon, ending);
  if (ending === "given-up") unlockAll(daemon);
  safety.finish(daemon);
  if (!safety.outlives) unlinkSockets(daemon);
  pidFile?.remove();
  return ExitCode.OK;
}

function reportUnjudged({ table, log }: Daemon, owners: readonly Owner[]): void {
  for (const owner of owners) {
    const names = table.ownedBy(ownerKey(owner)).map(({ name }) => `'${name}'`).join(", ");
    log.warn(
      `Nothing tells whether process ${owner.pid} is still the guest ${
        guestText(owner)
      } for which ${names} ` +
        `is locked: the lock is kept until it is released, which virtlockd release does for a guest that has ended`,
    );
  }
}

function guestText({ name, uuid }: Owner): string {
  return name === "" ? "(whose name was not handed over)" : `'${name}' (uuid ${uuid})`;
}

/** Owners that are gone while their locks wait for their last writes. */
function endedOwners({ reaper, sights }: Daemon): Pick<DaemonExtension, "ended"> {
  const ended = reaper.ended.map((owner) => {
    const sight = sights.of(owner.key);
    return sight === undefined ? owner : { ...owner, sight };
  });
  return ended.length === 0 ? {} : { ended };
}

/**
 * A daemon that was killed in that very moment may have left a lease, and who opens the file next would wait
 * for it.
 */
function giveLeasesBack({ sys, table }: Daemon): void {
  for (const { fd, lockspace } of table.resources()) if (lockspace === "") sys.lease(fd, F_UNLCK);
}

/** Goes on with owners of an earlier life: those that are gone, and what the others write. */
function resumeOwners({ table, sights, reaper }: Daemon, ended: readonly EndedOwnerState[]): void {
  for (const key of table.owners) sights.resume(key);
  for (const { sight, ...owner } of ended) {
    if (sight !== undefined) sights.restore(owner.key, owner.pid, sight);
    reaper.free(owner);
  }
}

/** Those of holders that are being ended are handed over with them. */
function watchedProcesses({ watch, reaper }: Daemon): OwnerProcess[] {
  const dying = new Set(reaper.dying.map(({ key }) => key));
  return [...watch.processes].filter(({ key }) => !dying.has(key));
}

/** The note of a daemon whose locks are taken over is void. */
function pastOf(past: Past, note: GivenUp): Past {
  const given = note.take();
  return past.kind === "none" && given !== undefined ? { kind: "stopped", given } : past;
}

/** Those of systemd stay. */
function unlinkSockets({ sys, servers }: Daemon): void {
  for (const server of servers) {
    for (const { path, unlink } of server.listeners) if (unlink) sys.unlink(path);
  }
}

/** @throws StartError naming the field of a state that cannot be taken over */
function restoreChecked(daemon: Daemon, state: RestartState): void {
  try {
    restore(daemon, state);
  } catch (error) {
    if (!(error instanceof RestartStateError)) throw error;
    throw new StartError(ExitCode.INITIALISATION, `Load restart state: ${error.message}`, { cause: error });
  }
}

/** The next image is started with the arguments that were understood. */
function withArguments(self: SelfImage, args: readonly string[]): SelfImage {
  return { ...self, argv: [...self.base, ...args] };
}

/**
 * Runs a step of the start. When it fails and that is to be forgiven, something else is done instead.
 *
 * @param forgive asked only after a failure: to find out what is at stake takes time
 * @param otherwise is told why it failed
 */
function unless<T, U>(forgive: () => boolean, step: () => T, otherwise: (why: string) => U): T | U {
  try {
    return step();
  } catch (error) {
    const known = error instanceof StartError || error instanceof SystemError ||
      error instanceof LogConfigError;
    if (!known || !forgive()) throw error;
    return otherwise(error.message);
  }
}

/** A descriptor that the earlier image handed over for a purpose. */
function keptDescriptor(state: RestartState | undefined, purpose: string): number | undefined {
  return state?.extension?.kept.find((kept) => kept.purpose === purpose)?.fd;
}

/** A descriptor to hand over, if there is one. */
function keep(purpose: string, fd: number | undefined): KeptDescriptor[] {
  return fd === undefined ? [] : [{ purpose, fd }];
}

/** The PID file: handed over with its lock held, or locked now. */
function takePidFile(
  sys: Sys,
  ledger: DescriptorLedger,
  path: string,
  pid: number,
  state: RestartState | undefined,
): PidFile {
  const kept = keptDescriptor(state, PID_FILE);
  return kept === undefined
    ? PidFile.acquire(sys, ledger, path, pid, VIRTLOCKD)
    : new PidFile(sys, ledger, path, kept);
}

/** Log settings that an administrator changed at runtime. */
function restoreLogging(logs: LogSystem, state: RestartState): void {
  const { logOutputs, logFilters } = state.extension?.settings ?? {};
  if (logOutputs !== undefined) logs.setOutputs(logOutputs);
  if (logFilters !== undefined) logs.setFilters(logFilters);
}

/**
 * Listens where no earlier image and no service manager has left a socket.
 *
 * @param tried makes one of the sockets; decides whether its failure matters
 */
function openSockets(
  { sys, paths }: StartContext,
  daemon: Daemon,
  descriptors: readonly { fd: number; name: string }[],
  tried: (open: () => void) => void,
): void {
  for (const { fd, name } of descriptors) {
    const role = socketRole(sys, fd, name, VIRTLOCKD.socketNames, paths.adminSocket);
    if (role === undefined) continue;
    (role === "admin" ? daemon.adminServer : daemon.lockServer).listen(adoptListener(sys, fd));
  }
  const { lockServer, adminServer } = daemon;
  if (lockServer.listeners.length === 0) tried(() => lockServer.listen(listenOn(sys, paths.socket)));
  if (adminServer.listeners.length === 0) tried(() => adminServer.listen(listenOn(sys, paths.adminSocket)));
}

/**
 * The default log file's directory is ours to make; that of one that an administrator named is not. Without
 * it the daemon may log elsewhere, and if not, opening the file tells what is wrong.
 */
function makeLogDirectory({ sys, paths, uid }: StartContext): void {
  const directory = paths.logFile.slice(0, paths.logFile.lastIndexOf("/"));
  makeDirectories(sys, directory, uid === 0 ? 0o700 : 0o755);
}

/** @throws StartError when a log output cannot be opened */
function configureLogging(logs: LogSystem, settings: LoggingSettings): void {
  try {
    logs.configure(settings);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw new StartError(ExitCode.USAGE, `Open log output: ${error.message}`, { cause: error });
  }
}

/** One descriptor per lock, one or two per client: as many as the administrator allows. */
function raiseFileLimit(sys: Sys): void {
  const limit = sys.fileLimit();
  if (typeof limit === "number") return;
  const [soft, hard] = limit;
  if (soft < hard) sys.setFileLimit(hard, hard);
}
