import type { Daemon } from "./daemon.ts";
import { taskState } from "./process_usage.ts";
import { until } from "./until.ts";

/**
 * Has a daemon stand still while things happen to it. It finds all of them at once when it goes on, in their
 * order: nobody else's speed decides what it does in between.
 */
export async function heldUp(daemon: Daemon, happen: () => void | Promise<void>): Promise<void> {
  daemon.signal("SIGSTOP");
  try {
    await until("the daemon to stand still", () => taskState(daemon.pid) === "T");
    await happen();
  } finally {
    daemon.signal("SIGCONT");
  }
}
