import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { LoggingSettings } from "../../chassis/log/log_settings.ts";
import { formatOutput, parseOutputs } from "../../chassis/log/outputs.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import { forgiveLogging } from "../../chassis/start/forgiving.ts";
import { PidFile } from "../../chassis/start/pid_file.ts";
import { makeDirectories, makeRunDirectory } from "../../chassis/start/sockets.ts";
import {
  cannotOpenOutput,
  configureLog,
  loggingFor,
  type StartContext,
  startLoop,
} from "../../chassis/start/start.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { isTerminal } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { silentMountOf } from "../storage/file_reach.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { keptDescriptor, PID_FILE } from "../handover/kept_descriptors.ts";
import type { Beginning } from "./read_start.ts";
import { unless } from "./unless.ts";

/** What a daemon process has before it looks at what it may take over. */
export interface Prepared {
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** Locked; undefined where the start goes on without it. */
  readonly pidFile: PidFile | undefined;
}

/**
 * Makes this process a daemon: name, umask, directories, event loop, PID file, logging, limit of descriptors.
 *
 * @param unfinished gets what undoes it if the start fails later on
 * @throws StartError
 */
export function prepareProcess(
  { pid, handed, context, returned, forgive, complaints, loaded }: Beginning,
  logs: LogSystem,
  unfinished: (() => void)[],
): Prepared {
  const { sys, options, paths, uid } = context;
  const complain = (message: string) => void complaints.push(message);
  sys.setThreadName(VIRTLOCKD.name);
  sys.umask(uid === 0 ? 0o022 : 0o077);
  if (options.daemon) sys.chdir("/");
  unless(forgive, () => makeRunDirectory(sys, paths.runDir, 0o755), complain);
  const { loop, ledger } = startLoop(sys);
  // Without a handed-over state or a service manager this may be a second daemon beside one that serves.
  const only = () => (handed !== undefined || returned.length > 0) && forgive();
  const takePid = () => {
    const kept = keptDescriptor(handed, PID_FILE);
    return kept === undefined
      ? PidFile.acquire(sys, ledger, paths.pidFile, pid, VIRTLOCKD)
      : new PidFile(sys, ledger, paths.pidFile, kept);
  };
  const pidFile = unless(only, takePid, (message) => void complain(message));
  unfinished.push(() => pidFile?.remove());
  makeLogDirectory(context);
  const terminal = isTerminal("stdin");
  const useLogging = (settings: LoggingSettings) => configureLogging(context, logs, settings);
  unless(
    forgive,
    () => useLogging(loggingFor(context, loaded, terminal)),
    () => {
      forgiveLogging(context, loaded, terminal, useLogging, complain);
      logs.abandonStart();
    },
  );
  raiseFileLimit(sys);
  return { loop, ledger, pidFile };
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
function configureLogging(context: StartContext, logs: LogSystem, settings: LoggingSettings): void {
  for (const output of parseOutputs(settings.outputs)) {
    const silent = output.kind === "file" ? silentMountOf(context.sys, output.path, "end") : undefined;
    if (silent === undefined) continue;
    throw cannotOpenOutput(
      context,
      settings,
      `${formatOutput(output)} is on ${silent}, which does not answer`,
    );
  }
  configureLog(context, logs, settings);
}

/** One descriptor per lock, one or two per client: as many as the administrator allows. */
function raiseFileLimit(sys: Sys): void {
  const limit = sys.fileLimit();
  if (typeof limit === "number") return;
  const [soft, hard] = limit;
  if (soft < hard) sys.setFileLimit(hard, hard);
}
