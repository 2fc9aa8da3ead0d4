import { isatty } from "node:tty";
import type { DaemonOptions } from "../config/options.ts";
import { dropPermissions, type RuntimeFacts } from "../os/runtime.ts";
import type { Sys } from "../os/sys.ts";
import { must, SystemError } from "../os/system_error.ts";
import { NotifySocket } from "../systemd/notify.ts";
import { readActivation } from "../systemd/activation.ts";
import { Daemon } from "./daemon.ts";
import { launchInBackground, READY_VARIABLE, StartReport } from "./launch.ts";
import { PidFile } from "./pid_file.ts";
import { lastingEnvironment, type SelfImage, selfImage, variable } from "./self.ts";
import { DAEMON_SIGNALS, watchSignals } from "./signals.ts";
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

/**
 * Runs the daemon, or starts it in the background.
 *
 * @returns exit code
 * @throws StartError when it cannot start
 */
export function runDaemon(sys: Sys, facts: RuntimeFacts, options: DaemonOptions): number {
  const cwd = sys.readlink("/proc/self/cwd");
  const self = selfImage(sys, facts, typeof cwd === "string" ? cwd : "/");
  if (sys.signalsBlocked(DAEMON_SIGNALS) !== 1) {
    const background = options.daemon && variable(self.env, READY_VARIABLE) === undefined;
    if (background && !continuesRestart()) {
      launchInBackground(sys, self);
      return ExitCode.OK;
    }
    shield(sys, self);
  }
  const ready = variable(self.env, READY_VARIABLE);
  const report = new StartReport(sys, ready === undefined ? undefined : Number(ready));
  try {
    return serve(sys, self, options, report, typeof cwd === "string" ? cwd : "/");
  } catch (error) {
    if (error instanceof StartError && report.awaited) {
      report.failed(error);
      return error.code;
    }
    throw error;
  }
}

/** Blocks the daemon's signals and starts this program once more, so that every thread of it inherits the mask. */
function shield(sys: Sys, self: SelfImage): never {
  must(sys.blockSignals(DAEMON_SIGNALS), "pthread_sigmask", "daemon");
  const failed = sys.execve(self.path, self.argv, self.env);
  throw new StartError(ExitCode.EXEC, new SystemError("Execute", self.path, failed).message);
}

/** Whether an earlier image of this process left its state: then this is a re-exec, which must not go to the background. */
function continuesRestart(): boolean {
  return false;
}

function serve(sys: Sys, self: SelfImage, options: DaemonOptions, report: StartReport, cwd: string): number {
  const env = environment(self.env);
  const context = startContext(sys, options, env, cwd);
  const logs = startLogging(sys);
  let daemon: Daemon;
  try {
    const loaded = readSettings(context);
    sys.setThreadName("virtlockd");
    sys.umask(context.uid === 0 ? 0o022 : 0o077);
    makeRunDirectory(sys, context.paths.runDir, 0o755);
    const { loop, ledger } = startLoop(sys);
    const pidFile = PidFile.acquire(sys, ledger, context.paths.pidFile, sys.pid());
    logs.configure(loggingFor(context, loaded, isatty(0)));
    raiseFileLimit(sys);
    daemon = new Daemon({
      sys,
      loop,
      ledger,
      logs,
      uid: context.uid,
      settings: loaded.settings,
      idleTimeout: options.timeout ?? 0,
    });
    for (const warning of loaded.warnings) daemon.log.warn(warning);
    openSockets(context, daemon);
    dropPermissions();
    watchSignals(sys, loop, ledger, {
      reExec: () => daemon.log.warn("not yet"),
      reload: () => daemon.log.warn("not yet"),
      terminate: () => daemon.shutdown(),
    });
    const notify = NotifySocket.connect(sys, ledger, env["NOTIFY_SOCKET"]);
    if (notify instanceof NotifySocket) notify.send(["READY=1"]);
    report.ready();
    daemon.run();
    pidFile.remove();
  } catch (error) {
    logs.abandonStart();
    throw error;
  }
  for (const server of daemon.servers) {
    for (const listener of server.listeners) if (listener.unlink) sys.unlink(listener.path);
  }
  logs.close();
  return ExitCode.OK;
}

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

/** One descriptor per lock, one or two per client: as many as the administrator allows. */
function raiseFileLimit(sys: Sys): void {
  const limit = sys.fileLimit();
  if (typeof limit === "number") return;
  const [soft, hard] = limit;
  if (soft < hard) sys.setFileLimit(hard, hard);
}

function environment(entries: readonly string[]): Environment {
  return Object.fromEntries(entries.map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)];
  }));
}
