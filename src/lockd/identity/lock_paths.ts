import type { Paths } from "../../chassis/config/paths.ts";
import { VIRTLOCKD } from "./identity.ts";

/** Files of the lock daemon besides those that every daemon has, as absolute paths. */
export interface LockPaths {
  /** State handed over at re-exec, also by libvirt's own daemon. */
  readonly restartState: string;
  /** Note of a daemon that was stopped while guests ran. */
  readonly givenUp: string;
  /** Directory of the journal where systemd keeps no descriptors. */
  readonly journalDir: string;
  /** The registered lockspaces, for a daemon to which nothing is handed over. */
  readonly lockspaces: string;
}

/** Where they are, beside the others. docs/behaviour.md, Files. */
export function lockPaths({ stateDir, runDir }: Pick<Paths, "stateDir" | "runDir">): LockPaths {
  const { name } = VIRTLOCKD;
  return {
    restartState: `${stateDir}/${name}-restart-exec.json`,
    givenUp: `${stateDir}/${name}-given-up.json`,
    journalDir: `${runDir}/${name}-journal`,
    lockspaces: `${runDir}/${name}-lockspaces.json`,
  };
}
