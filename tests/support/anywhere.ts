import type { LockDirectoriesParts } from "../../src/lockd/lockspace/lock_directories.ts";

/** For a lock table whose directories are nowhere in particular, and of which the settings say nothing. */
export const ANYWHERE: Pick<LockDirectoriesParts, "places" | "allowed"> = {
  places: {
    generation: {},
    refresh: () => {},
    placeOf: () => undefined,
    isMounted: () => false,
    isShared: () => false,
  },
  allowed: () => undefined,
};
