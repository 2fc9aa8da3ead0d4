import { configurationFault } from "../../chassis/start/configuration_fault.ts";
import { type Environment, startContext } from "../../chassis/start/start.ts";
import { StartError } from "../../chassis/start/start_error.ts";
import type { Sys } from "../../os/sys.ts";
import { VIRTLOCKD } from "../identity/identity.ts";
import { silentMountOf } from "../storage/file_reach.ts";
import { LOCK_SETTINGS } from "../identity/settings.ts";
import type { StatusDocument } from "../status/status_document.ts";

/**
 * What is wrong with the configuration file that a running daemon uses, as it is now; undefined when it is
 * good, or the daemon is too old to say which file that is.
 *
 * @param env of whoever asks: where a session has its files
 */
export function faultInConfiguration(
  sys: Sys,
  env: Environment,
  { configurationFile }: Pick<StatusDocument, "configurationFile">,
): string | undefined {
  const silent = configurationFile === undefined ? undefined : silentMountOf(sys, configurationFile, "end");
  if (silent !== undefined) return `${configurationFile} cannot be read: ${silent} does not answer`;
  // The default file need not be there, and one that was named and is gone is seen when the daemon starts.
  if (configurationFile === undefined || sys.access(configurationFile, 0) !== 0) return undefined;
  const options = {
    daemon: false,
    verbose: false,
    config: configurationFile,
    timeout: undefined,
    pidFile: undefined,
  };
  const places = Object.entries(env).filter(([name]) => !name.startsWith("LIBVIRT_"));
  try {
    const context = startContext(VIRTLOCKD, sys, options, Object.fromEntries(places), "/");
    return configurationFault(VIRTLOCKD, LOCK_SETTINGS, context, false);
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
}
