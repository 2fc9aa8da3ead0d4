import { SystemError } from "../../os/system_error.ts";
import { LogConfigError } from "../../chassis/log/log_config_error.ts";
import type { Daemon } from "./daemon.ts";
import type { Configuration } from "../../chassis/start/start.ts";
import { StartError } from "../../chassis/start/start_error.ts";

/**
 * Reads the configuration again (SIGHUP): logging and client limits. A broken file is logged and everything
 * stays.
 *
 * @param read reads the file and decides on logging; throws StartError
 */
export function reload(daemon: Daemon, read: () => Configuration): void {
  const { logs, log, lockServer, adminServer } = daemon;
  try {
    const { loaded, logging } = read();
    logs.configure(logging);
    logs.reopen();
    for (const warning of loaded.warnings) log.warn(warning);
    const { maxClients, adminMaxClients } = loaded.settings;
    lockServer.setLimits({ maxClients, maxAnonymousClients: maxClients });
    adminServer.setLimits({ maxClients: adminMaxClients, maxAnonymousClients: adminMaxClients });
    daemon.storageTimeout = loaded.settings.storageTimeout;
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
