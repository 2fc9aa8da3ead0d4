import { ConfigError } from "../../../chassis/config/config_error.ts";
import { type ConfigValue, parseConfigFile } from "../../../chassis/config/config_file.ts";
import type { Host } from "../guests/host.ts";

/** One of libvirt's configuration files. */
export type LibvirtConfig =
  | { readonly kind: "absent" }
  | { readonly kind: "broken"; readonly path: string; readonly reason: string }
  | { readonly kind: "read"; readonly path: string; readonly values: ReadonlyMap<string, ConfigValue> };

/** Reads a file of libvirt's configuration directory. */
export function readLibvirtConfig(host: Host, name: string): LibvirtConfig {
  const path = `${host.places.config}/${name}`;
  const text = host.read(path);
  if (text === undefined) return { kind: "absent" };
  try {
    const entries = parseConfigFile(text, path);
    return { kind: "read", path, values: new Map(entries.map(({ key, value }) => [key, value])) };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { kind: "broken", path, reason: error.message };
  }
}

/** A text setting; undefined when it is not set, or empty. */
export function textOf(config: LibvirtConfig, key: string): string | undefined {
  const value = config.kind === "read" ? config.values.get(key) : undefined;
  return value?.kind === "string" && value.value !== "" ? value.value : undefined;
}

/** A yes-or-no setting, which libvirt writes as 0 or 1; undefined when it is not set. */
export function flagOf(config: LibvirtConfig, key: string): boolean | undefined {
  const value = config.kind === "read" ? config.values.get(key) : undefined;
  return value?.kind === "integer" ? value.value !== 0 : undefined;
}

/** How libvirt's lock plugin is configured: qemu-lockd.conf. */
export interface LockdConfig {
  readonly config: LibvirtConfig;
  /** Whether every disk is locked without being asked for. */
  readonly autoDiskLeases: boolean;
  /** Whether a guest without leases is refused. */
  readonly requireLeases: boolean;
  /** Lock directories by the setting that names them. */
  readonly directories: ReadonlyMap<LockspaceKey, string>;
}

/** Settings that name a lock directory. */
const LOCKSPACE_KEYS = ["file_lockspace_dir", "lvm_lockspace_dir", "scsi_lockspace_dir"] as const;
/** One of {@link LOCKSPACE_KEYS}. */
export type LockspaceKey = typeof LOCKSPACE_KEYS[number];

/** Reads qemu-lockd.conf; what it leaves out has libvirt's default. */
export function readLockdConfig(host: Host): LockdConfig {
  const config = readLibvirtConfig(host, "qemu-lockd.conf");
  const autoDiskLeases = flagOf(config, "auto_disk_leases") ?? true;
  return {
    config,
    autoDiskLeases,
    requireLeases: flagOf(config, "require_lease_for_disks") ?? !autoDiskLeases,
    directories: new Map(
      LOCKSPACE_KEYS.flatMap((key) => {
        const path = textOf(config, key);
        return path === undefined ? [] : [[key, path]];
      }),
    ),
  };
}
