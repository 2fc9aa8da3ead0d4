import type { LifeParts } from "../../chassis/start/life.ts";

/** What a daemon process starts with. */
export interface ServeParts extends LifeParts {
  /** What was wrong with the command line, and is left out of `options`. */
  readonly mistakes: readonly string[];
  /** Whether guests would lose locks if this start failed for good: then what is wrong is only told. */
  readonly atStake: () => boolean;
}
