import type { LogSystem } from "../../chassis/log/log_system.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";
import { watchBarePids } from "../daemon/bare_pids.ts";
import { announceBeginning, type Past } from "../daemon/beginning.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { GivenUp } from "../daemon/given_up.ts";
import { loadLockspaces } from "../daemon/kept_lockspaces.ts";
import { restore } from "../handover/restore.ts";
import { lockPaths } from "../identity/lock_paths.ts";
import type { EndedOwner } from "../lockspace/holder_reaper.ts";
import { type Owner, ownerKey } from "../lockspace/owner.ts";
import { RestartStateError } from "../restart/restart_state_error.ts";
import type { RestartState } from "../restart/state.ts";
import type { Built } from "./built.ts";
import type { Found } from "./found.ts";
import { unless } from "./unless.ts";

/** What the state of an earlier life leaves to be done once changes are recorded. */
export interface TakenOver {
  /** Owners without a process of whom libvirt's daemon knew only the pid. */
  readonly dead: readonly EndedOwner[];
  /** Where a daemon that is stopped notes what it gives up. */
  readonly note: GivenUp;
}

/**
 * Puts the state of an earlier life into the parts, and says what the daemon begins with.
 *
 * @throws StartError naming the field of a state that cannot be taken over
 */
export function takeOver(
  { parts: { sys }, logs, beginning, safety }: Found,
  { daemon, state, inherited, registered }: Built,
): TakenOver {
  const { handed, stateFile, complaints, context: { paths } } = beginning;
  reportOddities(daemon, beginning);
  if (state !== undefined) {
    restoreChecked(daemon, state);
    inherited.convert();
    daemon.metrics.restore(state.extension?.statistics);
    if (handed !== undefined) daemon.metrics.reExecuted(stateFile.bytesTaken);
    unless(() => true, () => restoreLogging(logs, state), (message) => void complaints.push(message));
  }
  const note = new GivenUp(sys, lockPaths(paths).givenUp);
  announceBeginning(
    daemon,
    handed === undefined
      ? pastOf(safety.past, note)
      : { kind: handed.extension === undefined ? "libvirt" : "image" },
  );
  const { dead, unjudged } = handed !== undefined && handed.extension?.watched === undefined
    ? watchBarePids(daemon)
    : { dead: [], unjudged: [] };
  reportUnjudged(daemon, unjudged);
  loadLockspaces(registered, daemon, state?.extension !== undefined);
  return { dead, note };
}

/** What is odd about the configuration and about what lay in the place of a state. */
function reportOddities({ log }: Daemon, { pid, loaded, taken, stateFile }: Found["beginning"]): void {
  for (const warning of loaded.warnings) log.warn(warning);
  if (taken?.kind === "stale") {
    log.warn(`Ignored a restart state that was meant for process ${taken.magic}, this one is ${pid}`);
  }
  if (taken?.kind === "link") {
    log.warn(`Removed ${stateFile.path}: it was a symbolic link, which no daemon puts there`);
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

/** Log settings that an administrator changed at runtime. */
function restoreLogging(logs: LogSystem, state: RestartState): void {
  const { logOutputs, logFilters } = state.extension?.settings ?? {};
  if (logOutputs !== undefined) logs.setOutputs(logOutputs);
  if (logFilters !== undefined) logs.setFilters(logFilters);
}

/** The note of a daemon whose locks are taken over is void. */
function pastOf(past: Past, note: GivenUp): Past {
  const given = note.take();
  return past.kind === "none" && given !== undefined ? { kind: "stopped", given } : past;
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
