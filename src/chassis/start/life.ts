import type { Sys } from "../../os/sys.ts";
import type { Identity } from "../config/identity.ts";
import type { DaemonOptions } from "../config/options.ts";
import type { LogSystem } from "../log/log_system.ts";
import type { StartReport } from "./launch.ts";
import type { SelfImage } from "./self.ts";
import { type Environment, startLogging } from "./start.ts";

/** What every daemon's life begins with. */
export interface LifeParts {
  readonly sys: Sys;
  readonly self: SelfImage;
  readonly options: DaemonOptions;
  readonly env: Environment;
  /** Working directory of the process. */
  readonly cwd: string;
  readonly report: StartReport;
  /** What was wrong with the environment, and was put right. */
  readonly complaints: readonly string[];
}

/**
 * Lives a daemon's life between the opening and the closing of its log. A start that fails is undone, the
 * last step first, and what it has logged is told.
 *
 * @param live gets the list of what undoes the start as far as it has come; empty once the daemon serves
 * @throws whatever `live` throws
 */
export function liveLogging<Result>(
  identity: Identity,
  sys: Sys,
  live: (logs: LogSystem, unfinished: (() => void)[]) => Result,
): Result {
  const logs = startLogging(identity, sys);
  const unfinished: (() => void)[] = [];
  try {
    return live(logs, unfinished);
  } catch (error) {
    for (const undo of unfinished.reverse()) undo();
    logs.abandonStart();
    throw error;
  } finally {
    logs.close();
  }
}
