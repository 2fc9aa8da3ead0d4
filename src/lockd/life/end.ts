import { ExitCode } from "../../chassis/start/start_error.ts";
import { learnEnding, retire, unlockAll } from "../daemon/ending.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { type GivenUp, noteGivenUp } from "../daemon/given_up.ts";
import { reportEnding } from "../daemon/reported_ending.ts";
import type { Found } from "./found.ts";
import { unlinkSockets } from "./open_to_clients.ts";
import type { Succession } from "./successor.ts";

/**
 * The end of a daemon that nobody takes over in this process: what it is ended for decides what becomes of
 * its locks.
 *
 * @returns exit code: a service that ends well is not started again, and systemd drops what it keeps for it
 */
export function end(
  { parts: { self }, prepared: { loop, pidFile }, safety }: Found,
  daemon: Daemon,
  { reExec, unit }: Succession,
  note: GivenUp,
): number {
  reExec.abandon();
  // What is asked from now on waits in its socket: for the next daemon, or for the end of the connection.
  for (const server of daemon.servers) for (const { fd } of server.clients.values()) loop.remove(fd);
  safety.settle();
  const ending = learnEnding(daemon, self.env, unit, () => safety.copies);
  if (ending !== "restarted") {
    retire(daemon);
    noteGivenUp(note, daemon, Date.now());
  }
  reportEnding(daemon, { ending, refused: safety.refused, takenAgain: safety.leavesFile });
  if (ending === "given-up" || ending === "left") unlockAll(daemon);
  safety.finish(daemon, ending);
  if (!safety.outlives) unlinkSockets(daemon);
  pidFile?.remove();
  return ending === "unasked" && daemon.table.resourceCount > 0 ? ExitCode.AGAIN : ExitCode.OK;
}
