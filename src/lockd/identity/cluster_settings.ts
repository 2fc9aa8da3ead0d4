import { plainPath } from "../../base/plain_path.ts";
import type { ConfigEntry } from "../../chassis/config/config_file.ts";
import { readInteger, readText, wrongValue } from "../../chassis/config/setting_values.ts";
import type { SettingReader } from "../../chassis/config/settings.ts";

/** How every key of the cluster's begins. */
export const CLUSTER_PREFIX = "cluster";

/** What is done with a guest that runs on when another host has got its lock. */
export type OnLost =
  /** It runs on, and everybody is told. */
  | "report"
  /** Its process is stopped by a signal, and writes nothing any more. */
  | "pause"
  | "kill";
/** On which machines a host that was started again ends what its earlier start has left. */
export type RebootPolicy =
  /** 0 */
  | "never"
  /** 1: on bare metal. */
  | "metal"
  /** 2: in virtual machines too. */
  | "virtual";

/** What the configuration file says of the cluster, as it says it. */
export interface ClusterSettings {
  /** URLs of etcd's members; empty: this host is in no cluster. */
  readonly clusterEndpoints: readonly string[];
  /** Name of the cluster: several may use one etcd. */
  readonly clusterName: string;
  /** Lock directories that are held for all hosts: their path on this host, by the cluster's name for it. */
  readonly clusterLockspaces: ReadonlyMap<string, string>;
  /** Whether block devices locked by their path are held for all hosts, by what the kernel calls them. */
  readonly clusterDevices: boolean;
  /** Id of this host in the cluster; undefined: that of /etc/machine-id. */
  readonly clusterHostId: string | undefined;
  /** How long a guest waits for other hosts that are about to give up its locks, in seconds. */
  readonly clusterWait: number;
  /** How long guests that are started with their host wait until it is a member, in seconds. */
  readonly clusterStartWait: number;
  readonly clusterCaFile: string | undefined;
  readonly clusterCertFile: string | undefined;
  readonly clusterKeyFile: string | undefined;
  /** Program that fences a host which is not heard of; undefined: only people do. */
  readonly clusterFenceCommand: string | undefined;
  /** How long it may take, in seconds. */
  readonly clusterFenceTimeout: number;
  /** What that program has to know of this host, on other hosts. */
  readonly clusterFenceData: string | undefined;
  readonly clusterOnLost: OnLost;
  /**
   * Whether what a guest has written over the network counts as written when its process is gone: of a guest
   * without any disk that this host could look at.
   */
  readonly clusterTrustNetworkDisks: boolean;
  /** Where a host frees by itself, after its kernel was started again, what it had before. */
  readonly clusterTrustReboot: RebootPolicy;
  /**
   * Why the settings above cannot be relied upon, in a start that has to succeed whatever the file says:
   * nothing is locked then that may be the cluster's.
   */
  readonly clusterMistake: string | undefined;
}

/** No cluster. */
export const CLUSTER_DEFAULTS: ClusterSettings = {
  clusterEndpoints: [],
  clusterName: "default",
  clusterLockspaces: new Map(),
  clusterDevices: false,
  clusterHostId: undefined,
  clusterWait: 5,
  clusterStartWait: 60,
  clusterCaFile: undefined,
  clusterCertFile: undefined,
  clusterKeyFile: undefined,
  clusterFenceCommand: undefined,
  clusterFenceTimeout: 60,
  clusterFenceData: undefined,
  clusterOnLost: "report",
  clusterTrustNetworkDisks: false,
  clusterTrustReboot: "metal",
  clusterMistake: undefined,
};

const ENDPOINT = /^(https?):\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?\/?$/;
const ADDRESS = /^\[|^[0-9.]+$/;
/** One line, which a program can be given. */
const DATA = /^[^\p{Cc}]{1,1000}$/u;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Space of devices that are neither SCSI's nor LVM's, for which libvirt has no directory. Where hosts lock
 * block devices for all ({@link ClusterSettings.clusterDevices}) they agree upon it as on the others.
 */
export const DEVICE_SPACE = "devices";

/** The readers of the cluster's keys. */
export const CLUSTER_KEYS: readonly (readonly [string, SettingReader<ClusterSettings>])[] = [
  ["cluster_endpoints", (entry) => ({ clusterEndpoints: readEndpoints(entry) })],
  ["cluster_name", (entry) => ({ clusterName: readName(entry) ?? CLUSTER_DEFAULTS.clusterName })],
  ["cluster_lockspaces", (entry) => ({ clusterLockspaces: readSpaces(entry) })],
  ["cluster_devices", (entry) => ({ clusterDevices: readInteger(entry, 0, 1) === 1 })],
  ["cluster_host_id", (entry) => ({ clusterHostId: readName(entry) })],
  // With 0 no guest could ever be moved: its target has to ask the source, and to wait for what that answers.
  ["cluster_wait", (entry) => ({ clusterWait: readInteger(entry, 1, 60) })],
  ["cluster_start_wait", (entry) => ({ clusterStartWait: readInteger(entry, 0, 3600) })],
  ["cluster_ca_file", (entry) => ({ clusterCaFile: readPath(entry) })],
  ["cluster_cert_file", (entry) => ({ clusterCertFile: readPath(entry) })],
  ["cluster_key_file", (entry) => ({ clusterKeyFile: readPath(entry) })],
  ["cluster_fence_command", (entry) => ({ clusterFenceCommand: readPath(entry) })],
  ["cluster_fence_timeout", (entry) => ({ clusterFenceTimeout: readInteger(entry, 1, 600) })],
  ["cluster_fence_data", (entry) => ({ clusterFenceData: readData(entry) })],
  ["cluster_on_lost", (entry) => ({ clusterOnLost: readOnLost(entry) })],
  ["cluster_trust_network_disks", (entry) => ({ clusterTrustNetworkDisks: readInteger(entry, 0, 1) === 1 })],
  ["cluster_trust_reboot", (entry) => ({ clusterTrustReboot: readReboots(entry) })],
];

function readEndpoints(entry: ConfigEntry): string[] {
  const { value } = entry;
  if (value.kind !== "list") throw wrongValue(entry, "a list of strings");
  const seen = new Set<string>();
  return value.items.map((item) => {
    const [, scheme, host = "", port = "2379"] = item.kind === "string"
      ? ENDPOINT.exec(item.value) ?? []
      : [];
    if (item.kind !== "string" || scheme === undefined) {
      throw wrongValue(entry, 'URLs of etcd, "https://NAME:PORT"', item);
    }
    if (Number(port) < 1 || Number(port) > 65535) {
      throw wrongValue(entry, "URLs with ports from 1 to 65535", item);
    }
    const member = `${host.toLowerCase()}:${Number(port)}`;
    if (seen.has(member)) throw wrongValue(entry, "each member of etcd once", item);
    seen.add(member);
    if (scheme === "https" && ADDRESS.test(host)) {
      throw wrongValue(
        entry,
        'URLs with names, because TLS with an address does not work, "https://NAME:PORT"',
        item,
      );
    }
    return item.value;
  });
}

function readName(entry: ConfigEntry): string | undefined {
  const text = readText(entry);
  if (text === undefined || NAME.test(text)) return text;
  throw wrongValue(entry, "at most 64 letters, digits, '.', '_' and '-', a letter or digit first,");
}

function readPath(entry: ConfigEntry): string | undefined {
  const text = readText(entry);
  if (text === undefined || text.startsWith("/")) return text;
  throw wrongValue(entry, "an absolute path");
}

function readReboots(entry: ConfigEntry): RebootPolicy {
  const policies = ["never", "metal", "virtual"] as const;
  return policies[readInteger(entry, 0, 2)] ?? CLUSTER_DEFAULTS.clusterTrustReboot;
}

function readData(entry: ConfigEntry): string | undefined {
  const text = readText(entry);
  if (text === undefined || DATA.test(text)) return text;
  throw wrongValue(entry, "one line of at most 1000 characters");
}

function readOnLost(entry: ConfigEntry): OnLost {
  const text = readText(entry) ?? CLUSTER_DEFAULTS.clusterOnLost;
  if (text === "report" || text === "pause" || text === "kill") return text;
  throw wrongValue(entry, '"report", "pause" or "kill"');
}

function readSpaces(entry: ConfigEntry): Map<string, string> {
  const { value } = entry;
  if (value.kind !== "list") throw wrongValue(entry, "a list of strings");
  const spaces = new Map<string, string>();
  for (const item of value.items) {
    const [, name, path] = item.kind === "string" ? /^([^=]+)=(\/.+)$/.exec(item.value) ?? [] : [];
    const directory = plainPath(path ?? "");
    const known = spaces.has(name ?? "") || [...spaces.values()].includes(directory);
    if (name === undefined || path === undefined || !NAME.test(name) || known) {
      throw wrongValue(entry, 'strings "NAME=/DIRECTORY", each name and each directory once', item);
    }
    if (name === DEVICE_SPACE) {
      throw wrongValue(entry, `names other than "${DEVICE_SPACE}", which stands for devices`, item);
    }
    spaces.set(name, directory);
  }
  return spaces;
}
