import { readState } from "./read_state.ts";
import { RestartStateError } from "./restart_state_error.ts";

/** What a restart document would bring. */
export interface StateSummary {
  readonly clients: number;
  readonly locks: number;
}

/**
 * Reads a restart document without touching anything: a running daemon asks the binary that it is about to
 * exec whether that one will understand its state.
 *
 * @param pid process that is to take it over; without it, any
 * @throws RestartStateError when the state could not be taken over
 */
export function checkState(bytes: Uint8Array, pid?: number): StateSummary {
  const outcome = readState(bytes, pid);
  if (outcome.kind === "stale") {
    throw new RestartStateError("magic", `"${pid}"`, JSON.stringify(outcome.magic));
  }
  const { servers, lockspaces } = outcome.state;
  return {
    clients: servers.virtlockd.clients.length + (servers.admin?.clients.length ?? 0),
    locks: lockspaces.reduce((sum, lockspace) => sum + lockspace.resources.length, 0),
  };
}
