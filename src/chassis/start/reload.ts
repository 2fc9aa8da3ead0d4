import { SystemError } from "../../os/system_error.ts";
import type { CommonSettings } from "../config/settings.ts";
import type { Log } from "../log/log.ts";
import { LogConfigError } from "../log/log_config_error.ts";
import type { LogSystem } from "../log/log_system.ts";
import type { Configuration } from "./start.ts";
import { StartError } from "./start_error.ts";
import type { Applied, WaitingSettings } from "./waiting_settings.ts";

/**
 * Takes the configuration over once more (SIGHUP). A broken file is logged and everything stays.
 *
 * @param read reads the file and decides on logging; throws StartError
 * @param waiting tells what is not taken over
 */
export function reload<S extends CommonSettings>(
  logs: Pick<LogSystem, "configure" | "reopen">,
  log: Pick<Log, "info" | "warn" | "error">,
  read: () => Configuration<S>,
  applied: Applied<S>,
  waiting: WaitingSettings<S>,
): void {
  try {
    const { loaded: { settings, warnings }, logging } = read();
    logs.configure(logging);
    logs.reopen();
    for (const warning of warnings) log.warn(warning);
    for (const effect of Object.values<Applied<S>[keyof S]>(applied)) {
      if (typeof effect === "function") effect(settings);
    }
    const news = waiting.news(applied, settings);
    if (news !== undefined) log.warn(news);
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
