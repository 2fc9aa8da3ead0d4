import type { LogSystem } from "../../chassis/log/log_system.ts";
import { liveLogging } from "../../chassis/start/life.ts";
import { dropPermissions } from "../../os/runtime.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { announce, begin, heedSignals } from "./begin.ts";
import { build } from "./built.ts";
import { end } from "./end.ts";
import { find } from "./found.ts";
import { openToClients, unlinkSockets } from "./open_to_clients.ts";
import type { ServeParts } from "./serve_parts.ts";
import { prepareSuccession } from "./successor.ts";
import { takeOver } from "./take_over.ts";

/**
 * The daemon's life in this process image: start or take over, serve, end.
 *
 * @returns exit code
 * @throws StartError, SystemError, UsageError when it cannot start
 */
export function serve(parts: ServeParts): number {
  return liveLogging(VIRTLOCKD, parts.sys, (logs, unfinished) => live(parts, logs, unfinished));
}

/**
 * The stages of a life. Their order is the order of effects.
 *
 * 1. find: what an earlier image has left, the configuration, the service manager, the journal. Nothing of
 *    the host is touched before it is known what is at stake.
 * 2. build: the parts, with nothing in them.
 * 3. takeOver: the state of an earlier life is in them.
 * 4. openToClients: clients may come, and wait. What the runtime may do and need not any more is given up.
 * 5. prepareSuccession, heedSignals: how it may end.
 * 6. begin: changes are recorded from here on, and only then is anybody served.
 * 7. announce: the service manager is told last.
 * 8. run, until somebody ends it; end.
 *
 * @param unfinished gets what undoes the start as far as it has come; empty once the daemon serves
 * @returns exit code
 */
function live(parts: ServeParts, logs: LogSystem, unfinished: (() => void)[]): number {
  const found = find(parts, logs, unfinished);
  const built = build(found);
  const { daemon } = built;
  unfinished.push(() => unlinkSockets(daemon));
  const taken = takeOver(found, built);
  openToClients(found, daemon);
  dropPermissions();
  const succession = prepareSuccession(found, built);
  heedSignals(found, built, succession);
  begin(found, built, taken, succession, unfinished);
  announce(found, built, succession);
  daemon.run();
  return end(found, daemon, succession, taken.note);
}
