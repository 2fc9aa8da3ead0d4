import { getLog, type Log } from "../../chassis/log/log.ts";
import type { LogSystem } from "../../chassis/log/log_system.ts";
import { refuseServed } from "../../chassis/start/sockets.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import { CrashSafety } from "../crash/crash_safety.ts";
import { LeftJournalError } from "../crash/left_journal_error.ts";
import { lockPaths } from "../identity/lock_paths.ts";
import { type Prepared, prepareProcess } from "./prepare_process.ts";
import { type Beginning, readStart } from "./read_start.ts";
import type { ServeParts } from "./serve_parts.ts";
import { linkService, type ServiceLink } from "./service_link.ts";

/** What a start has found before any part of the daemon is made. */
export interface Found {
  readonly parts: ServeParts;
  readonly logs: LogSystem;
  readonly log: Log;
  readonly beginning: Beginning;
  readonly prepared: Prepared;
  readonly service: ServiceLink;
  /** The journal, open, and what a crash has left in it. */
  readonly safety: CrashSafety;
}

/**
 * The first stages: what an earlier image has left and the configuration, the process made a daemon, the
 * service manager, and last the journal, which may be taken only when no other daemon serves here.
 *
 * @param unfinished gets what undoes it if the start fails later on
 * @throws StartError, UsageError
 */
export function find(parts: ServeParts, logs: LogSystem, unfinished: (() => void)[]): Found {
  const beginning = readStart(parts);
  const prepared = prepareProcess(beginning, logs, unfinished);
  const log = getLog("locking.lock_daemon", "src/lockd/life/found.ts");
  const service = linkService(parts.sys, parts.self.env, parts.env, beginning, prepared, log);
  const { handed, returned, context: { paths }, loaded: { settings }, cwd } = beginning;
  if (handed === undefined && returned.length === 0) refuseServed(parts.sys, paths.socket);
  const safety = openJournal({
    sys: parts.sys,
    loop: prepared.loop,
    ledger: prepared.ledger,
    log,
    env: service.env,
    journalDir: lockPaths(paths).journalDir,
    cwd,
    notify: service.notify,
    doubt: service.doubt,
    returned,
    handed,
    limits: [settings.maxClients, settings.adminMaxClients].map((limit) => ({
      maxClients: limit,
      maxAnonymousClients: limit,
    })),
  });
  return { parts, logs, log, beginning, prepared, service, safety };
}

/** @throws StartError when an earlier daemon's journal is there and cannot be read */
function openJournal(parts: ConstructorParameters<typeof CrashSafety>[0]): CrashSafety {
  try {
    return new CrashSafety(parts);
  } catch (error) {
    if (!(error instanceof LeftJournalError)) throw error;
    throw new StartError(ExitCode.INITIALISATION, error.message, { cause: error });
  }
}
