import { VIRTLOCKD } from "../identity/identity.ts";
import type { InternalCommand } from "../../chassis/cli/program.ts";
import { readWhole } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { FENCE_COMMAND } from "../cluster/fencing/fence_messages.ts";
import { runFencing } from "./cluster/fence_process.ts";
import { CHECK_CLUSTER_COMMAND, CHECK_COMMAND } from "../handover/re_exec.ts";
import { userPaths } from "../../chassis/cli/asking.ts";
import { HAND_BACK_COMMAND, handBack, isRemovable, REMOVABLE_COMMAND, type RemovalParts } from "./removal.ts";
import { checkState, summaryText } from "../restart/check_state.ts";
import { RestartStateError } from "../restart/restart_state_error.ts";
import { runDeputy, runStorageHelper } from "../storage/helper_main.ts";
import { DEPUTY_COMMAND, HELPER_COMMAND } from "../storage/helper_protocol.ts";

/** The parts of the lock daemon that it starts for itself, and what its packages call. */
export const INTERNAL_COMMANDS: ReadonlyMap<string, InternalCommand> = new Map([
  [CHECK_COMMAND, (sys: Sys, args: readonly string[]) => checkStateFile(sys, args[0] ?? "")],
  [CHECK_CLUSTER_COMMAND, (sys: Sys, args: readonly string[]) => checkStateFile(sys, args[0] ?? "")],
  [HELPER_COMMAND, runStorageHelper],
  [DEPUTY_COMMAND, (sys: Sys) => runDeputy(sys)],
  [
    FENCE_COMMAND,
    (sys: Sys) =>
      runFencing(sys, Object.entries(Deno.env.toObject()).map(([name, value]) => `${name}=${value}`)),
  ],
  [
    REMOVABLE_COMMAND,
    (sys: Sys, args: readonly string[]) => isRemovable(removal(sys), args[0] ?? "") ? 0 : 1,
  ],
  [HAND_BACK_COMMAND, (sys: Sys, args: readonly string[]) => handBack(removal(sys), Number(args[0])) ? 0 : 1],
]);

/** The system's daemon, and standard error. */
function removal(sys: Sys): RemovalParts {
  const { adminSocket } = userPaths(VIRTLOCKD, { sys, env: Deno.env.toObject() });
  return { sys, socket: adminSocket, say: (line) => console.error(`deno-virtlockd: ${line}`) };
}

/** A dry load of a restart state: whether this program would take it over. */
function checkStateFile(sys: Sys, path: string): number {
  try {
    console.log(summaryText(checkState(readWhole(sys, path))));
    return 0;
  } catch (error) {
    if (!(error instanceof RestartStateError) && !(error instanceof SystemError)) throw error;
    console.error(error.message);
    return 1;
  }
}
