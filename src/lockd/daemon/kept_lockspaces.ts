import { SystemError } from "../../os/system_error.ts";
import type { Daemon } from "./daemon.ts";
import type { RegisteredLockspaces } from "./registered_lockspaces.ts";

/**
 * Lockspaces that were registered in an earlier life of the daemon are registered still, each in its place.
 *
 * @param ours whether lockspaces were taken over from a daemon that kept this list: then one that is not in
 *   it was adopted
 */
export function loadLockspaces(
  registered: Pick<RegisteredLockspaces, "load">,
  { table, log }: Pick<Daemon, "table" | "log">,
  ours: boolean,
): void {
  try {
    const listed = registered.load();
    if (listed === undefined) return;
    const paths = new Set(["", ...listed.map(({ path }) => path)]);
    for (const lockspace of table.lockspaces.values()) {
      if (ours && !paths.has(lockspace.path)) lockspace.origin = "adopted";
    }
    for (const { path, place } of listed) table.restoreLockspace(path).place = place;
  } catch (error) {
    if (!(error instanceof SystemError || error instanceof SyntaxError)) throw error;
    log.error(
      `Registered lockspaces are not known, libvirtd registers them when it is restarted: ${error.message}`,
    );
  }
}

/** Keeps what is registered for the next life of the daemon. */
export function saveLockspaces(
  registered: Pick<RegisteredLockspaces, "save">,
  { table, log }: Pick<Daemon, "table" | "log">,
): void {
  try {
    registered.save(table.lockspaces.values());
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    log.error(`Registered lockspaces would be forgotten when the daemon is stopped: ${error.message}`);
  }
}
