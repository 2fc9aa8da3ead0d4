import { SystemError } from "../../os/system_error.ts";
import type { Settings } from "../../chassis/config/settings.ts";
import { LogConfigError } from "../../chassis/log/log_config_error.ts";
import type { Daemon } from "./daemon.ts";
import type { Configuration } from "../../chassis/start/start.ts";
import { StartError } from "../../chassis/start/start_error.ts";

/**
 * What becomes of each setting. One that is missing here does not compile: it would silently wait for the
 * next start.
 */
const APPLIED: Readonly<Record<keyof Settings, ((daemon: Daemon, settings: Settings) => void) | undefined>> =
  {
    // Decided together with the environment and the command line.
    logLevel: undefined,
    logFilters: undefined,
    logOutputs: undefined,
    maxClients: ({ lockServer }, { maxClients }) =>
      lockServer.setLimits({ maxClients, maxAnonymousClients: maxClients }),
    adminMaxClients: ({ adminServer }, { adminMaxClients: maxClients }) =>
      adminServer.setLimits({ maxClients, maxAnonymousClients: maxClients }),
    storageTimeout: (daemon, { storageTimeout }) => {
      daemon.storageTimeout = storageTimeout;
    },
    settleTimeout: (daemon, { settleTimeout }) => {
      daemon.settleTimeout = settleTimeout;
    },
    allowStaleResume: (daemon, { allowStaleResume }) => {
      daemon.allowStaleResume = allowStaleResume;
    },
    lockspaces: (daemon, { lockspaces }) => {
      daemon.lockDirectories = lockspaces;
    },
  };

/**
 * Reads the configuration again (SIGHUP): logging and client limits. A broken file is logged and everything
 * stays.
 *
 * @param read reads the file and decides on logging; throws StartError
 */
export function reload(daemon: Daemon, read: () => Configuration): void {
  const { logs, log } = daemon;
  try {
    const { loaded, logging } = read();
    logs.configure(logging);
    logs.reopen();
    for (const warning of loaded.warnings) log.warn(warning);
    for (const apply of Object.values(APPLIED)) apply?.(daemon, loaded.settings);
    log.info("Configuration read again");
  } catch (error) {
    const expected = error instanceof StartError || error instanceof SystemError ||
      error instanceof LogConfigError;
    if (!expected) throw error;
    // The log file may have been rotated all the same.
    logs.reopen();
    log.error(`Configuration not taken over, the old settings stay: ${error.message}`);
  }
}
