import { type CommandName, VIRTLOCKD } from "../../identity/identity.ts";
import { ConfigError } from "../../../chassis/config/config_error.ts";
import { parseConfigFile } from "../../../chassis/config/config_file.ts";
import { type Invocation, parseCommandLine } from "../../../chassis/config/options.ts";
import { loadSettings } from "../../../chassis/config/settings.ts";
import { LOCK_SETTINGS, type Settings } from "../../identity/settings.ts";
import { UsageError } from "../../../chassis/config/usage_error.ts";
import { LogConfigError } from "../../../chassis/log/log_config_error.ts";
import { resolveLogging } from "../../../chassis/log/log_settings.ts";
import type { Host } from "../guests/host.ts";
import { type Check, type Finding, ok, problem, warning } from "./check.ts";

/** Where the unit and the OpenRC script take VIRTLOCKD_ARGS from, the last one counting. */
const ARGUMENT_FILES = ["/etc/default/virtlockd", "/etc/sysconfig/virtlockd", "/etc/conf.d/virtlockd"];

/** Whether the daemon understands its own configuration: it reads it at its next start or reload. */
export const configuration: Check = {
  name: "configuration",
  run({ host }) {
    const wrong = ARGUMENT_FILES.flatMap((file) => {
      const understood = understand(argumentsIn(host.read(file) ?? ""));
      return typeof understood === "string"
        ? [problem(`VIRTLOCKD_ARGS in ${file}: ${understood}`, MEND)]
        : [];
    });
    const named = namedConfig(host);
    return [...wrong, ...inspect(host, named ?? host.places.daemonConfig, named !== undefined)];
  },
};

/** The settings of the daemon; the defaults where its file cannot be read or understood. */
export function readSettings(host: Host): Settings {
  const path = namedConfig(host) ?? host.places.daemonConfig;
  const text = host.read(path);
  try {
    return text === undefined
      ? LOCK_SETTINGS.defaults
      : loadSettings(LOCK_SETTINGS, parseConfigFile(text, path)).settings;
  } catch (error) {
    if (error instanceof ConfigError) return LOCK_SETTINGS.defaults;
    throw error;
  }
}

/** The configuration file that VIRTLOCKD_ARGS names. */
function namedConfig(host: Host): string | undefined {
  return ARGUMENT_FILES.map((file) => {
    const understood = understand(argumentsIn(host.read(file) ?? ""));
    return typeof understood === "string" ? undefined : understood.options.config;
  }).findLast((path) => path !== undefined);
}

const MEND =
  "Correct it before the daemon is restarted or reloaded: until then it goes on with what it has read";

function inspect(host: Host, path: string, isNamed: boolean): Finding[] {
  const text = host.read(path);
  if (text === undefined) {
    if (host.kind(path) !== undefined) return [warning(`${path} cannot be read`, "Run this as root")];
    if (!isNamed) return [];
    return [problem(`${path} is not there, but VIRTLOCKD_ARGS names it`, MEND)];
  }
  try {
    const { settings, warnings } = loadSettings(LOCK_SETTINGS, parseConfigFile(text, path));
    resolveLogging({
      verbose: false,
      env: {},
      settings,
      daemonMode: true,
      stdinIsTerminal: false,
      journaldPresent: true,
      logFile: "",
    });
    if (warnings.length === 0) return [ok(`${path} can be read`)];
    return warnings.map((odd) => warning(odd, "Correct the line, or take it out"));
  } catch (error) {
    if (error instanceof ConfigError) return [problem(error.message, MEND)];
    if (error instanceof LogConfigError) return [problem(`${path}: ${error.message}`, MEND)];
    throw error;
  }
}

/** The arguments as the daemon would take them, or what is wrong with them. */
function understand(words: readonly string[]): Invocation<CommandName> & { kind: "daemon" } | string {
  try {
    const invocation = parseCommandLine(words, VIRTLOCKD.commands);
    if (invocation.kind === "daemon") return invocation;
    return "they name a command or ask for help, so that no daemon would start";
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

/** Words of VIRTLOCKD_ARGS in a file of assignments (systemd.exec(5), EnvironmentFile=). */
function argumentsIn(text: string): string[] {
  const values = [...text.matchAll(/^[ \t]*(?:export[ \t]+)?VIRTLOCKD_ARGS[ \t]*=[ \t]*(.*?)[ \t]*$/gm)];
  const value = values.at(-1)?.[1]?.replace(/^(["'])(.*)\1$/, "$2") ?? "";
  return value.split(/\s+/).filter((word) => word !== "");
}
