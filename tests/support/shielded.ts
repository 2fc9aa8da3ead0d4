import { DAEMON_SIGNALS } from "../../src/chassis/start/signals.ts";

/**
 * A daemon's command line with the daemon's signals blocked, as the programs that are built have it. Where
 * they are not blocked a daemon executes itself once more as soon as it has been loaded, which takes half of
 * the CPU of its start.
 */
export function shielded(command: readonly string[]): string[] {
  return ["env", `--block-signal=${DAEMON_SIGNALS}`, ...command];
}
