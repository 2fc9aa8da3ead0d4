import { DEPUTY_SOCKET } from "../storage/deputy_starter.ts";
import { keep, keptDescriptor, PID_FILE, STORAGE_STARTER } from "../handover/kept_descriptors.ts";
import { silentMountOf } from "../storage/file_reach.ts";
import { prepareProcess } from "./prepare_process.ts";
import { readStart } from "./read_start.ts";
import type { ServeParts } from "./serve_parts.ts";
import { linkService } from "./service_link.ts";
import { unless } from "./unless.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { LOCK_SETTINGS } from "../identity/settings.ts";
import { F_UNLCK } from "../../os/constants.ts";
import { argumentsOf } from "../../chassis/config/options.ts";
import { counted } from "../../chassis/log/counted.ts";
import { getLog } from "../../chassis/log/log.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import { dropPermissions, isTerminal } from "../../os/runtime.ts";
import { RestartStateError } from "../restart/restart_state_error.ts";
import type { DaemonExtension, EndedOwnerState, RestartState } from "../restart/state.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import { serviceUnit, SYSTEMD_NOTIFY } from "../../chassis/systemd/unit.ts";
import { Watchdog } from "../../chassis/systemd/watchdog.ts";
import { readSmallFile } from "../../os/read_file.ts";
import { ServiceStatus } from "../../chassis/systemd/service_status.ts";
import { announceBeginning, type Past } from "../daemon/beginning.ts";
import { CrashSafety } from "../crash/crash_safety.ts";
import { AwaitedLocks } from "../daemon/awaited_locks.ts";
import { Daemon } from "../daemon/daemon.ts";
import { learnEnding, reportEnding, unlockAll } from "../daemon/ending.ts";
import { GivenUp, noteGivenUp } from "../daemon/given_up.ts";
import { InheritedLocks } from "../daemon/inherited_locks.ts";
import { type Owner, ownerKey } from "../lockspace/owner.ts";
import { watchBarePids } from "../daemon/bare_pids.ts";
import { ReExec } from "../handover/re_exec.ts";
import { RegisteredLockspaces, registryPath } from "../daemon/registered_lockspaces.ts";
import { loadLockspaces, saveLockspaces } from "../daemon/kept_lockspaces.ts";
import { appliedTo } from "../daemon/applied_settings.ts";
import { restore } from "../handover/restore.ts";
import { reloadWhenReadable } from "../daemon/reload_when_readable.ts";
import { reload } from "../../chassis/start/reload.ts";
import { configurationFault } from "../../chassis/start/configuration_fault.ts";
import { StartPause } from "../../chassis/start/start_pause.ts";
import type { SelfImage } from "../../chassis/start/self.ts";
import { watchSignals } from "../../chassis/start/signals.ts";
import { SocketWatch } from "../../chassis/start/socket_watch.ts";
import type { Paths } from "../../chassis/config/paths.ts";
import { OWNER_ONLY } from "../../chassis/config/socket_role.ts";
import { type DaemonSocket, openSockets } from "../../chassis/start/open_sockets.ts";
import { refuseServed } from "../../chassis/start/sockets.ts";
import { readConfiguration, startLogging } from "../../chassis/start/start.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import { withVariables } from "./service_manager.ts";

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

/**
 * The stages of a life. Their order is the order of effects: nothing of the host is touched before it is
 * known what is at stake, nobody is served before everything is restored and recorded, and the service
 * manager is told last.
 *
 * 1. readStart: state of an earlier image, configuration
 * 2. prepareProcess: directories, PID file, logging
 * 3. linkService, CrashSafety: the service manager, the journal, what a crash has left
 * 4. Daemon, restore: the parts, and the state in them
 * 5. openSockets, dropPermissions, signals: what may come from outside
 * 6. CrashSafety.begin, start: recorded from here on, and served
 * 7. run, and the end
 *
 * @param unfinished gets what undoes the start as far as it has come; empty once the daemon serves
 */
function live(parts: ServeParts, logs: LogSystem, unfinished: (() => void)[]): number {
  const { sys, self, options, report, mistakes } = parts;
  const beginning = readStart(parts);
  const { pid, stateFile, taken, handed, cwd, context, returned, complaints, loaded } = beginning;
  const { paths, uid } = context;
  const complain = (message: string) => void complaints.push(message);
  const prepared = prepareProcess(beginning, logs, unfinished);
  const { loop, ledger, pidFile } = prepared;
  const log = getLog("locking.lock_daemon", "src/lockd/life/serve.ts");
  const service = linkService(sys, self.env, parts.env, beginning, prepared, log);
  if (handed === undefined && returned.length === 0) refuseServed(sys, paths.socket);
  const { maxClients, adminMaxClients } = loaded.settings;
  const safety = new CrashSafety({
    sys,
    loop,
    ledger,
    log,
    env: service.env,
    journalDir: paths.journalDir,
    cwd,
    notify: service.notify,
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
    configurationFile: paths.config,
    idleTimeout: state?.extension?.settings.timeout ?? options.timeout ?? 0,
    recorder: safety.recorder,
    program: { path: self.path, argv: self.base, env: self.env },
    storageStarter: keptDescriptor(state, STORAGE_STARTER),
    deputySocket: `${paths.runDir}/${DEPUTY_SOCKET}`,
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
    handed === undefined
      ? pastOf(safety.past, note)
      : { kind: handed.extension === undefined ? "libvirt" : "image" },
  );
  const bare = handed !== undefined && handed.extension?.watched === undefined
    ? watchBarePids(daemon)
    : { dead: [], unjudged: [] };
  reportUnjudged(daemon, bare.unjudged);
  loadLockspaces(registered, daemon, state?.extension !== undefined);
  const holds = handed !== undefined || daemon.table.resourceCount > 0;
  openSockets(
    sys,
    VIRTLOCKD,
    socketsOf(daemon, paths),
    returned,
    (open) => unless(() => holds, open, complain),
  );
  for (const complaint of complaints) daemon.log.error(`Started in spite of this: ${complaint}`);
  dropPermissions();
  const runtimeSettings = () => ({
    ...(logs.outputsText() === configured.outputs ? {} : { logOutputs: logs.outputsText() }),
    ...(logs.filtersText() === configured.filters ? {} : { logFilters: logs.filtersSetting() }),
  });
  const watchdog = new Watchdog(
    loop,
    safety.manager,
    () =>
      safety.sound &&
      !daemon.table.resources().some(({ handle }) => handle.kind === "file" && handle.lock === "posix"),
    log,
  );
  const unit = service.notifyAddress === SYSTEMD_NOTIFY
    ? serviceUnit(readSmallFile(sys, "/proc/self/cgroup") ?? "")
    : undefined;
  const reExec = new ReExec({
    daemon,
    // The next image has to know too what this one had to find out.
    self: {
      ...(mistakes.length === 0 ? self : withArguments(self, argumentsOf(options))),
      env: withVariables(self.env, service.variables),
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
    configurationFault: () => {
      const silent = silentMountOf(sys, paths.config, "wait");
      return silent === undefined
        ? configurationFault(VIRTLOCKD, LOCK_SETTINGS, context, isTerminal("stdin"))
        : `${paths.config} cannot be read: ${silent} does not answer`;
    },
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
      const read = () => readConfiguration(context, LOCK_SETTINGS, isTerminal("stdin"));
      const takeOver = () => reload(logs, daemon.log, read, appliedTo(daemon));
      reloadWhenReadable(daemon, paths.config, takeOver, () => status.ready(pid));
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
  safety.finish(daemon, ending);
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
  for (const { handle, lockspace } of table.resources()) {
    if (lockspace === "" && handle.kind === "file") sys.lease(handle.fd, F_UNLCK);
  }
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

/** The sockets of each server. */
function socketsOf({ lockServer, adminServer }: Daemon, paths: Paths): DaemonSocket[] {
  return [
    { role: "read-write", path: paths.socket, access: OWNER_ONLY, server: lockServer },
    { role: "admin", path: paths.adminSocket, access: OWNER_ONLY, server: adminServer },
  ];
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

/** Log settings that an administrator changed at runtime. */
function restoreLogging(logs: LogSystem, state: RestartState): void {
  const { logOutputs, logFilters } = state.extension?.settings ?? {};
  if (logOutputs !== undefined) logs.setOutputs(logOutputs);
  if (logFilters !== undefined) logs.setFilters(logFilters);
}
