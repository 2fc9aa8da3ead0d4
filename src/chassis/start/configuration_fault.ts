import type { Identity } from "../config/identity.ts";
import type { CommonSettings, SettingsSchema } from "../config/settings.ts";
import { LOG_PATHS, openOutputs } from "../log/open_outputs.ts";
import { parseOutputs } from "../log/outputs.ts";
import { SystemError } from "../../os/system_error.ts";
import { cannotOpenOutput, readConfiguration, type StartContext } from "./start.ts";
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
  try {
    const { logging } = readConfiguration(context, schema, terminal);
    try {
      const environment = { sys: context.sys, ident: name, paths: LOG_PATHS };
      for (const output of openOutputs(environment, parseOutputs(logging.outputs))) output.close();
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      throw cannotOpenOutput(context, logging, error.message, error);
    }
    return undefined;
  } catch (error) {
    if (error instanceof StartError) return error.message;
    throw error;
  }
}
