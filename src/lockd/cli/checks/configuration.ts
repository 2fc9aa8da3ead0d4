import { shellQuoted } from "../../../base/shell_quoted.ts";
import { type CommandName, VIRTLOCKD } from "../../identity/identity.ts";
import { ConfigError } from "../../../chassis/config/config_error.ts";
import { type ConfigEntry, parseConfigFile, placeOfKey } from "../../../chassis/config/config_file.ts";
import { tokenizerFor } from "../../../chassis/config/option_tokens.ts";
import { type Invocation, parseCommandLine } from "../../../chassis/config/options.ts";
import { loadSettings } from "../../../chassis/config/settings.ts";
import { LOCK_SETTINGS, type Settings } from "../../identity/settings.ts";
import { UsageError } from "../../../chassis/config/usage_error.ts";
import { LogConfigError } from "../../../chassis/log/log_config_error.ts";
import { parseOutputs } from "../../../chassis/log/outputs.ts";
import { resolveLogging } from "../../../chassis/log/log_settings.ts";
import type { Host } from "../guests/host.ts";
import { type Check, type Finding, ok, problem, warning } from "./check.ts";

/** Where the unit and the OpenRC script take VIRTLOCKD_ARGS from, the last one counting. */
const ARGUMENT_FILES = ["/etc/default/virtlockd", "/etc/sysconfig/virtlockd", "/etc/conf.d/virtlockd"];

/** Whether the daemon understands its own configuration: it reads it at its next start or reload. */
export const configuration: Check = {
  name: "configuration",
  async run({ host, daemon }) {
    const mend = daemon.kind === "answers" ? MEND_WHILE_IT_RUNS : MEND;
    const given = await givenArguments(host);
    const wrong = given.flatMap(({ file, understood }) =>
      typeof understood === "string" ? [problem(`VIRTLOCKD_ARGS in ${file}: ${understood}`, mend)] : []
    );
    const named = namedConfig(given);
    return [...wrong, ...inspect(host, named ?? host.places.daemonConfig, named !== undefined, mend)];
  },
};

/** The settings of the daemon; the defaults where its file cannot be read or understood. */
export async function readSettings(host: Host): Promise<Settings> {
  const path = namedConfig(await givenArguments(host)) ?? host.places.daemonConfig;
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

/** The arguments that a file gives the daemon. */
interface GivenArguments {
  readonly file: string;
  /** As the daemon would take them, or what is wrong with them. */
  readonly understood: Invocation<CommandName> & { kind: "daemon" } | string;
}

/** All of them, the last ones counting. */
function givenArguments(host: Host): Promise<GivenArguments[]> {
  return Promise.all(ARGUMENT_FILES.map(async (file) => {
    return { file, understood: await understand(argumentsIn(host.read(file) ?? "")) };
  }));
}

/** The configuration file that VIRTLOCKD_ARGS names. */
function namedConfig(given: readonly GivenArguments[]): string | undefined {
  return given.map(({ understood }) => typeof understood === "string" ? undefined : understood.options.config)
    .findLast((path) => path !== undefined);
}

const MEND_WHILE_IT_RUNS =
  "Correct it before the daemon is restarted or reloaded: until then it goes on with what it has read";
const MEND = "Correct it: no daemon starts with it while no lock is held, and the next guest fails";

function inspect(host: Host, path: string, isNamed: boolean, mend: string): Finding[] {
  const text = host.read(path);
  if (text === undefined) return unreadable(host, path, isNamed, mend);
  let entries: readonly ConfigEntry[] = [];
  try {
    entries = parseConfigFile(text, path);
    const { settings, warnings } = loadSettings(LOCK_SETTINGS, entries);
    resolveLogging({
      verbose: false,
      env: {},
      settings,
      daemonMode: true,
      stdinIsTerminal: false,
      journaldPresent: true,
      logFile: "",
    });
    const unfit = parseOutputs(settings.logOutputs ?? "").flatMap((output) =>
      output.kind === "file" ? unfitForLog(host, output.path) ?? [] : []
    );
    if (unfit.length > 0) {
      const place = placeOfKey(entries, "log_outputs", path);
      return unfit.map((why) => problem(`${place}: a log output cannot be opened: ${why}`, mend));
    }
    if (warnings.length === 0) return [ok(`${path} can be read`)];
    return warnings.map((odd) => warning(odd, "Correct the line, or take it out"));
  } catch (error) {
    if (error instanceof ConfigError) return [problem(error.message, mend)];
    if (error instanceof LogConfigError) {
      const place = error.source?.kind === "key" ? placeOfKey(entries, error.source.name, path) : path;
      return [problem(`${place}: ${error.message}`, mend)];
    }
    throw error;
  }
}

function unreadable(host: Host, path: string, isNamed: boolean, mend: string): Finding[] {
  if (!host.answers(path)) {
    return [
      problem(
        `${path} is on storage that does not answer`,
        "See to that storage: a daemon that starts without locks waits for it, one with locks starts with defaults",
      ),
    ];
  }
  const kind = host.kind(path);
  if (kind === "directory") return [problem(`${path} is a directory`, mend)];
  if (kind !== undefined) {
    return [
      host.isRoots
        ? problem(
          `${path} cannot be read, not even by root`,
          `The reason is in: cat ${shellQuoted(path)}. ${mend}`,
        )
        : warning(
          `${path} cannot be read by this user`,
          "Run this as the user whose daemon it is: for the host's that is root",
        ),
    ];
  }
  return isNamed ? [problem(`${path} is not there, but VIRTLOCKD_ARGS names it`, mend)] : [];
}

/** Why a log file could not be opened or made there; undefined when it could, or nobody can tell. */
function unfitForLog(host: Host, path: string): string | undefined {
  const directory = path.slice(0, path.lastIndexOf("/")) || "/";
  if (!host.answers(path)) return `${path} is on storage that does not answer`;
  const kind = host.kind(path);
  if (kind === "directory") return `${path} is a directory`;
  if (kind === undefined && host.kind(directory) !== "directory") return `there is no directory ${directory}`;
  const written = kind === undefined ? directory : path;
  return host.isRoots && !host.writable(written) ? `${written} cannot be written` : undefined;
}

async function understand(words: readonly string[]): Promise<GivenArguments["understood"]> {
  try {
    const invocation = parseCommandLine(words, VIRTLOCKD.commands, await tokenizerFor(words));
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
