import type { StorageStatus } from "./storage_queue.ts";

/** The state that says most comes first. */
const STATES: readonly StorageStatus["state"][] = ["hung", "working", "idle", "absent"];

/**
 * How a place is doing that is asked by several helpers: as the daemon's user, and as others where root may
 * not open a file. It hangs when one of them does.
 *
 * @param place of the daemon's own helper, whose pid it keeps
 */
export function placeStatus(place: StorageStatus, deputies: readonly StorageStatus[]): StorageStatus {
  const all = [place, ...deputies];
  const state = STATES.find((one) => all.some((status) => status.state === one)) ?? place.state;
  const begun = all.flatMap(({ since, state: its }) => since === undefined || its !== state ? [] : [since]);
  return {
    ...place,
    state,
    since: begun.length === 0 ? place.since : Math.min(...begun),
    waiting: all.reduce((sum, { waiting }) => sum + waiting, 0),
  };
}
