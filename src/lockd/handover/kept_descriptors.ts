import { type HeldTripwire, isTripwire } from "../store/tripwires.ts";
import type { KeptDescriptor, RestartState } from "../restart/state.ts";

/** Purpose under which the PID file's locked descriptor is handed over. */
export const PID_FILE = "pid-file";
/** Purpose of the socket to the process that starts storage helpers. */
export const STORAGE_STARTER = "storage-starter";

/** A descriptor that the earlier image handed over for a purpose. */
export function keptDescriptor(state: RestartState | undefined, purpose: string): number | undefined {
  return state?.extension?.kept.find((kept) => kept.purpose === purpose)?.fd;
}

/** A descriptor to hand over, if there is one. */
export function keep(purpose: string, fd: number | undefined): KeptDescriptor[] {
  return fd === undefined ? [] : [{ purpose, fd }];
}

/** Tripwires that the earlier image handed over; their names are their purposes. */
export function handedTripwires(state: RestartState | undefined): HeldTripwire[] {
  return (state?.extension?.kept ?? []).filter(({ purpose }) => isTripwire(purpose))
    .map(({ purpose, fd }) => ({ name: purpose, fd }));
}
