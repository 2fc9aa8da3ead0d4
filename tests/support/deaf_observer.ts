import type { LockObserver } from "../../src/lockd/lockspace/lock_observer.ts";
import type { LockTableParts } from "../../src/lockd/lockspace/lock_table_parts.ts";

/** Takes no notice of anything. Tests put what they look at in its place. */
export const DEAF: LockObserver = {
  lockspaceCreated() {},
  lockspacePlaced() {},
  granted() {},
  released() {},
  refused() {},
  troubled() {},
  recast() {},
  lost() {},
  regained() {},
  learnt() {},
  regranted() {},
  wentOn() {},
  regrantable() {},
  kept() {},
  givenBack() {},
  leaving() {},
  parked() {},
  unparked() {},
  resumeUnjudged() {},
};

/** A lock table's view of owners' processes in tests that have none. */
export const UNWATCHED: Pick<LockTableParts, "watch" | "opened" | "staleResumeAllowed"> = {
  watch: { begin: () => undefined, hasEnded: () => false, processOf: () => undefined },
  opened: () => "unknown",
  staleResumeAllowed: () => false,
};
