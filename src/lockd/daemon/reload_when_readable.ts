import type { LogSystem } from "../../chassis/log/log_system.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { Sys } from "../../os/sys.ts";
import { GIVE, mountThatMayHang, PATIENCE } from "../storage/file_reach.ts";
import type { Storage } from "../storage/storage.ts";

/** What this works with. */
interface Parts {
  readonly sys: Sys;
  readonly storage: Pick<Storage, "run">;
  readonly logs: Pick<LogSystem, "reopen">;
  readonly log: Pick<Log, "error">;
}

/**
 * Has the configuration read again (SIGHUP) when its storage answers, which is found out while everybody is
 * served.
 *
 * @param path the configuration file
 * @param reload reads it
 * @param done called once, in the end
 */
export function reloadWhenReadable(
  { sys, storage, logs, log }: Parts,
  path: string,
  reload: () => void,
  done: () => void,
): void {
  const point = mountThatMayHang(sys, path);
  if (point === undefined) {
    reload();
    return done();
  }
  storage.run("/bin/sh", ["sh", ...GIVE, path], PATIENCE, (result) => {
    if (result.kind === "ended") reload();
    else {
      // A log file may have been rotated all the same.
      logs.reopen();
      log.error(
        `Configuration not taken over, the old settings stay: Read ${path}: ${point} does not answer`,
      );
    }
    done();
  });
}
