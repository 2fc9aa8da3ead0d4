import { CHECK_COMMAND } from "../daemon/re_exec.ts";
import { readWhole } from "../../os/read_file.ts";
import { counted } from "../../chassis/log/counted.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { DEPUTY_COMMAND, HELPER_COMMAND } from "../storage/helper_protocol.ts";
import { runDeputy, runStorageHelper } from "../storage/helper_process.ts";
import { checkState } from "../restart/check_state.ts";
import { RestartStateError } from "../restart/restart_state_error.ts";

/**
 * The parts of the daemon that it starts for itself. Not for people; the names begin with `internal-`.
 *
 * @returns exit code
 */
export function runInternal(sys: Sys, name: string, args: readonly string[]): number {
  switch (name) {
    case CHECK_COMMAND:
      return checkStateFile(sys, args[0] ?? "");
    case HELPER_COMMAND:
      return runStorageHelper(sys, args);
    case DEPUTY_COMMAND:
      return runDeputy(sys);
    default:
      console.error(`virtlockd: error: Unknown command "${name}"`);
      return 1;
  }
}

/** A dry load of a restart state: whether this program would take it over. */
function checkStateFile(sys: Sys, path: string): number {
  try {
    const { clients, locks } = checkState(readWhole(sys, path));
    console.log(`${counted(clients, "client")}, ${counted(locks, "lock")}`);
    return 0;
  } catch (error) {
    if (!(error instanceof RestartStateError) && !(error instanceof SystemError)) throw error;
    console.error(error.message);
    return 1;
  }
}
