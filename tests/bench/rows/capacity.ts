import { must } from "../../../src/os/system_error.ts";

/** Most clients of the rows: a host full of guests. */
export const MOST_CLIENTS = 4096;
/** Descriptors a daemon has for itself. */
const OWN_DESCRIPTORS = 200;
/** Descriptors our daemon has open for a client: its socket and a pidfd. */
const PER_CLIENT = 2;
/** Locks of a guest: its disks. */
export const MOST_LOCKS = 10;

/** How many locks each of some clients can take before a daemon's RLIMIT_NOFILE is used up. */
export function locksPerClient(fileLimit: readonly [number, number] | number, clients: number): number {
  const [, hard] = typeof fileLimit === "number" ? [0, must(fileLimit, "getrlimit", "files")] : fileLimit;
  const left = hard - OWN_DESCRIPTORS - PER_CLIENT * clients;
  return Math.max(1, Math.min(MOST_LOCKS, Math.floor(left / clients)));
}
