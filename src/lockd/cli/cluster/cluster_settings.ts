import { ConfigError } from "../../../chassis/config/config_error.ts";
import type { ConfigEntry, ConfigValue } from "../../../chassis/config/config_file.ts";
import { UsageError } from "../../../chassis/config/usage_error.ts";
import type { Arguments, OptionSpec } from "../../../chassis/cli/arguments.ts";
import { type CommandContext, CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { absolute, workingDirectory } from "../../../chassis/start/self.ts";
import { readSettings, startContext } from "../../../chassis/start/start.ts";
import { StartError } from "../../../chassis/start/start_error.ts";
import { LINK_SOCKET } from "../../cluster/cluster.ts";
import { CLUSTER_DEFAULTS, CLUSTER_KEYS, type ClusterSettings } from "../../identity/cluster_settings.ts";
import { VIRTLOCKD } from "../../identity/identity.ts";
import { LOCK_SETTINGS } from "../../identity/settings.ts";
import type { FileSys } from "../../../os/sys.ts";

/** Where the link's program is when nobody says otherwise. */
const LINK_PROGRAM = "/usr/sbin/virtlockd-cluster";

/** The options of every command about a cluster: which cluster is meant, and how it is reached. */
export const CLUSTER_OPTIONS: readonly OptionSpec[] = [
  { name: "config", short: "f", value: "FILE", summary: "the cluster is that of this configuration file" },
  { name: "endpoints", value: "URL,...", summary: "etcd's members, instead of a configuration file" },
  { name: "name", value: "NAME", summary: "name of the cluster; with --endpoints" },
  { name: "ca-file", value: "FILE", summary: "certificate of etcd's authority; with --endpoints" },
  { name: "cert-file", value: "FILE", summary: "certificate for etcd; with --endpoints" },
  { name: "key-file", value: "FILE", summary: "its private key; with --endpoints" },
  { name: "link", value: "PATH", summary: "socket or program of the link with etcd" },
];

/** The configuration's keys that an option stands for. */
const KEYS: Readonly<Record<string, string>> = {
  endpoints: "cluster_endpoints",
  name: "cluster_name",
  "ca-file": "cluster_ca_file",
  "cert-file": "cluster_cert_file",
  "key-file": "cluster_key_file",
};

const TLS_OPTIONS = ["ca-file", "cert-file", "key-file"];

/** Which cluster a command is about. */
export interface ChosenCluster {
  readonly settings: ClusterSettings;
  /** Socket or program of the link with etcd. */
  readonly link: string;
}

/**
 * The cluster that the command line or a configuration file names. With neither it is that of this host, and
 * its own link is used: that may read the certificates which are closed to everybody else.
 *
 * @throws UsageError, CommandError
 */
export function chosenCluster(context: CommandContext, args: Arguments): ChosenCluster {
  const { sys } = context;
  const given = Object.keys(KEYS).filter((option) => args.value(option) !== undefined);
  const [first] = given;
  const file = args.value("config");
  if (first !== undefined) {
    if (file !== undefined) throw new UsageError(`Options "--config" and "--${first}" exclude each other`);
    if (!given.includes("endpoints")) throw new UsageError(`Option "--${first}" needs "--endpoints"`);
    const settings = fromOptions(sys, args, given);
    const missing = TLS_OPTIONS.filter((option) => !given.includes(option));
    if (missing.length > 0 && settings.clusterEndpoints.some((url) => url.startsWith("https:"))) {
      throw new UsageError(`"https" needs ${missing.map((option) => `"--${option}"`).join(", ")} too`);
    }
    return { settings, link: args.value("link") ?? LINK_PROGRAM };
  }
  const own = configuredCluster(context, file);
  const { settings, path } = own;
  if (!isNamed(own)) {
    const asRoot = sys.uid() === 0 ? "" : "; root is told of this host's own";
    throw new CommandError(
      CommandExit.PROBLEM,
      `${path} names no cluster: set cluster_endpoints there, or name one with --config or --endpoints${asRoot}`,
    );
  }
  return { settings, link: args.value("link") ?? (file === undefined ? own.link : LINK_PROGRAM) };
}

/** The cluster of a configuration file, which may name none. */
export interface ConfiguredCluster extends ChosenCluster {
  readonly path: string;
}

/** Whether the configuration names a cluster. */
export function isNamed({ settings }: ConfiguredCluster): boolean {
  return settings.clusterEndpoints.length > 0;
}

function fromOptions(
  sys: Pick<FileSys, "readlink" | "access">,
  args: Arguments,
  given: readonly string[],
): ClusterSettings {
  const readers = new Map(CLUSTER_KEYS);
  try {
    return given.reduce((settings, option) => {
      const key = KEYS[option] ?? "";
      const entry: ConfigEntry = {
        key,
        value: valueOf(sys, option, args.value(option) ?? ""),
        place: `--${option}`,
      };
      return { ...settings, ...readers.get(key)?.(entry) };
    }, CLUSTER_DEFAULTS);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new UsageError(error.message);
  }
}

function valueOf(sys: Pick<FileSys, "readlink" | "access">, option: string, text: string): ConfigValue {
  if (option === "endpoints") {
    const items = text.split(",").filter((url) => url !== "");
    return { kind: "list", items: items.map((value) => ({ kind: "string", value })) };
  }
  const value = option.endsWith("-file") ? absolute(text, workingDirectory(sys)) : text;
  return { kind: "string", value };
}

/**
 * What a configuration file says of a cluster, which is reached by this host's own link where there is one.
 *
 * @param file undefined: that of this user's daemon, which need not be there
 * @throws CommandError
 */
export function configuredCluster(
  { sys, env }: Pick<CommandContext, "sys" | "env">,
  file: string | undefined,
): ConfiguredCluster {
  const options = { daemon: false, verbose: false, config: file, timeout: undefined, pidFile: undefined };
  const places = Object.entries(env).filter(([name]) => !name.startsWith("LIBVIRT_"));
  try {
    const context = startContext(VIRTLOCKD, sys, options, Object.fromEntries(places), workingDirectory(sys));
    const { settings } = readSettings(context, LOCK_SETTINGS);
    const socket = `${context.paths.runDir}/${LINK_SOCKET}`;
    // Where there is neither, the socket is what this host should have.
    const isProgram = sys.access(socket, 0) < 0 && sys.access(LINK_PROGRAM, 0) === 0;
    const link = isProgram ? LINK_PROGRAM : socket;
    return { settings, link, path: context.paths.config };
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    throw new CommandError(CommandExit.PROBLEM, error.message, { cause: error });
  }
}
