import type { StatusDocument } from "../../src/lockd/status/status_document.ts";
import { StatusProcedure } from "../../src/lockd/wire/status_protocol.ts";
import type { AdminClient } from "./admin_client.ts";
import type { Daemon } from "./daemon.ts";
import { until } from "./until.ts";

/** How often a daemon's log has a line. Re-execs are logged with `-v` only. */
export function countLines(daemon: Daemon, text: string): number {
  return daemon.log.text.split(text).length - 1;
}

/**
 * Has a daemon that was started with `-v` re-exec itself, and waits until its next image has taken over.
 *
 * @param meanwhile looked at again and again until then; throws when something is wrong
 */
export async function reExec(daemon: Daemon, meanwhile: () => void = () => {}): Promise<void> {
  const before = countLines(daemon, "Took over ");
  daemon.signal("SIGUSR1");
  await until("the next image to take over", () => {
    meanwhile();
    if (!daemon.running) throw new Error(`The daemon has ended:\n${daemon.log.text}`);
    return countLines(daemon, "Took over ") > before;
  });
}

/** How often a daemon has re-exec'd itself, as it counts itself. */
export async function reExecCount(admin: AdminClient): Promise<number> {
  const { json } = await admin.page(StatusProcedure.GET_STATUS);
  const status: StatusDocument = JSON.parse(json);
  return status.reExecs;
}

/**
 * Sends SIGUSR1 and waits until a daemon that was started with `-v` has said why it stays. @returns the
 * reason
 */
export async function refusedReExec(daemon: Daemon): Promise<string> {
  const before = countLines(daemon, "given up");
  daemon.signal("SIGUSR1");
  await until("the daemon to stay", () => countLines(daemon, "given up") > before);
  const line = daemon.log.text.split("\n").findLast((text) => text.includes("given up")) ?? "";
  return line.slice(line.indexOf("as before: ") + "as before: ".length);
}
