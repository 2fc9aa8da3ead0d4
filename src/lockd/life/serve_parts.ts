import type { DaemonOptions } from "../../chassis/config/options.ts";
import type { StartReport } from "../../chassis/start/launch.ts";
import type { SelfImage } from "../../chassis/start/self.ts";
import type { Environment } from "../../chassis/start/start.ts";
import type { Sys } from "../../os/sys.ts";

/** What a daemon process starts with. */
export interface ServeParts {
  readonly sys: Sys;
  readonly self: SelfImage;
  readonly options: DaemonOptions;
  readonly env: Environment;
  /** Working directory of the process. */
  readonly cwd: string;
  readonly report: StartReport;
  /** What was wrong with the command line, and is left out of `options`. */
  readonly mistakes: readonly string[];
  /** Whether guests would lose locks if this start failed for good: then what is wrong is only told. */
  readonly atStake: () => boolean;
}
