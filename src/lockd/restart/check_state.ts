import { counted } from "../../chassis/log/counted.ts";
import { readState } from "./read_state.ts";
import { RestartStateError } from "./restart_state_error.ts";
import type { RestartState } from "./state.ts";

/** What a restart document would bring. */
export interface StateSummary {
  readonly clients: number;
  readonly locks: number;
}

/** How a program that was shown a state tells what it would take over; the daemon that asks compares it. */
export function summaryText({ clients, locks }: StateSummary): string {
  return `${counted(clients, "client")}, ${counted(locks, "lock")}`;
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
  return summaryOf(outcome.state);
}

/** What is in a state. */
export function summaryOf({ servers, lockspaces }: RestartState): StateSummary {
  return {
    clients: servers.virtlockd.clients.length + (servers.admin?.clients.length ?? 0),
    locks: lockspaces.reduce((sum, lockspace) => sum + lockspace.resources.length, 0),
  };
}
