import {
  type CommonSettings,
  forgiveSettings,
  type LoadedSettings,
  type SettingsSchema,
} from "../config/settings.ts";
import { LogConfigError } from "../log/log_config_error.ts";
import type { LoggingSettings } from "../log/log_settings.ts";
import { SystemError } from "../../os/system_error.ts";
import { loggingFor, readConfigText, type StartContext } from "./start.ts";
import { StartError } from "./start_error.ts";

// A daemon whose failed start would cost others something begins with what works, whatever is wrong with its
// configuration.

/** Reads what can be read of the configuration file. @param complain told of each mistake */
export function forgiveConfiguration<S extends CommonSettings>(
  context: StartContext,
  schema: SettingsSchema<S>,
  complain: (message: string) => void,
): LoadedSettings<S> {
  let text = "";
  try {
    text = readConfigText(context);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    complain(error.message);
  }
  const { settings, warnings, errors } = forgiveSettings(schema, text, context.paths.config);
  for (const { message } of errors) complain(message);
  return { settings, warnings };
}

/** What decides on logging, by what is given up first when it does not work. */
const GIVEN_UP = [
  { variable: "LIBVIRT_LOG_OUTPUTS", key: "logOutputs" },
  { variable: "LIBVIRT_LOG_FILTERS", key: "logFilters" },
  { variable: "LIBVIRT_DEBUG", key: "logLevel" },
] as const;

/**
 * Sets logging up with as many of its settings as work.
 *
 * @param use sets it up; throws StartError, SystemError or LogConfigError
 * @param complain told of each thing that does not work, once
 */
export function forgiveLogging(
  context: StartContext,
  loaded: LoadedSettings<CommonSettings>,
  terminal: boolean,
  use: (settings: LoggingSettings) => void,
  complain: (message: string) => void,
): void {
  let env = context.env;
  let settings = loaded.settings;
  let said: string | undefined;
  for (const next of [...GIVEN_UP, undefined]) {
    try {
      return use(loggingFor({ ...context, env }, { ...loaded, settings }, terminal));
    } catch (error) {
      const known = error instanceof StartError || error instanceof SystemError ||
        error instanceof LogConfigError;
      if (!known) throw error;
      if (error.message !== said) complain(error.message);
      said = error.message;
    }
    if (next === undefined) return;
    env = { ...env, [next.variable]: undefined };
    settings = { ...settings, [next.key]: undefined };
  }
}
