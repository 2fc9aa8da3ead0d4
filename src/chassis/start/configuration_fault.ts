import { scanConfigFile } from "../config/config_file.ts";
import type { Identity } from "../config/identity.ts";
import type { CommonSettings, SettingsSchema } from "../config/settings.ts";
import { LogConfigError } from "../log/log_config_error.ts";
import { LOG_PATHS, openOutputs } from "../log/open_outputs.ts";
import { parseOutputs } from "../log/outputs.ts";
import { SystemError } from "../../os/system_error.ts";
import { readConfigText, readConfiguration, type StartContext } from "./start.ts";
import { StartError } from "./start_error.ts";

/**
 * Why a daemon that is started with the configuration as it is now would end at once; undefined when it
 * would not. Log files are opened, as a start does it, and closed again.
 *
 * @param terminal whether the daemon's standard input is one
 * @returns file, line and what was expected, where the file is at fault
 */
export function configurationFault<S extends CommonSettings>(
  { name }: Identity,
  schema: SettingsSchema<S>,
  context: StartContext,
  terminal: boolean,
): string | undefined {
  let place = "";
  try {
    const { loaded, logging } = readConfiguration(context, schema, terminal);
    // The environment goes before the file.
    if (loaded.settings.logOutputs === logging.outputs) place = `${placeOfOutputs(context)}: `;
    const outputs = openOutputs(
      { sys: context.sys, ident: name, paths: LOG_PATHS },
      parseOutputs(logging.outputs),
    );
    for (const output of outputs) output.close();
    return undefined;
  } catch (error) {
    if (error instanceof SystemError) return `${place}a log output cannot be opened: ${error.message}`;
    if (error instanceof StartError || error instanceof LogConfigError) return error.message;
    throw error;
  }
}

/** File and line of the key that names the log outputs. */
function placeOfOutputs(context: StartContext): string {
  const { entries } = scanConfigFile(readConfigText(context), context.paths.config);
  return entries.find(({ key }) => key === "log_outputs")?.place ?? context.paths.config;
}
