import type { LockTableParts } from "../../src/lockd/lockspace/lock_table_parts.ts";

/**
 * For a lock table whose owners have nothing under way when they are gone, and where nobody waits for a lock.
 */
export const NOTHING_WRITTEN: Pick<LockTableParts, "settler" | "loop" | "patience"> = {
  settler: {
    settle: (_resource, _holding, over) => over(),
    isSettling: () => false,
    isWaitedFor: () => false,
    reasonOf: () => undefined,
    abandon: () => {},
  },
  loop: {
    after: () => ({ due: 0, cancel: () => {} }),
    defer: (task) => task(),
  },
  patience: () => 0,
};
