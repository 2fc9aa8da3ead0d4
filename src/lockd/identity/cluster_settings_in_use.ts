import { compareTexts } from "../../base/lists.ts";
import type { ClusterSettings } from "./cluster_settings.ts";

/**
 * The cluster's settings that a daemon has until it executes its program anew, with the keys of the
 * configuration file: a membership begins with the process.
 */
export const UNTIL_RELOAD = {
  clusterEndpoints: "cluster_endpoints",
  clusterName: "cluster_name",
  clusterLockspaces: "cluster_lockspaces",
  clusterDevices: "cluster_devices",
  clusterHostId: "cluster_host_id",
  clusterCaFile: "cluster_ca_file",
  clusterCertFile: "cluster_cert_file",
  clusterKeyFile: "cluster_key_file",
  clusterTrustReboot: "cluster_trust_reboot",
} as const satisfies Partial<Record<keyof ClusterSettings, string>>;

/** Values of {@link UNTIL_RELOAD} by their keys, each as JSON, so that two of them can be compared. */
export type SettingsInUse = Readonly<Record<string, string>>;

/** The settings as a daemon tells them. One that is not set is left out. */
export function settingsInUse(settings: ClusterSettings): SettingsInUse {
  const names = Object.keys(UNTIL_RELOAD) as (keyof typeof UNTIL_RELOAD)[];
  return Object.fromEntries(names.flatMap((name) => {
    const value = settings[name];
    return value === undefined ? [] : [[UNTIL_RELOAD[name], jsonOf(value)]];
  }));
}

/** The keys that the configuration file has with other values than a daemon uses. */
export function keysNotInUse(inUse: SettingsInUse, settings: ClusterSettings): readonly string[] {
  const configured = settingsInUse(settings);
  return Object.values(UNTIL_RELOAD).filter((key) => inUse[key] !== configured[key]);
}

/** Whether a daemon is known to lock nothing for other hosts: neither directories nor devices are named. */
export function isIdle(inUse: SettingsInUse | undefined): boolean {
  return inUse?.[UNTIL_RELOAD.clusterLockspaces] === "{}" && inUse[UNTIL_RELOAD.clusterDevices] === "false";
}

function jsonOf(value: unknown): string {
  // In whatever order directories are named, they are the same.
  return JSON.stringify(
    value instanceof Map ? Object.fromEntries([...value].sort(([a], [b]) => compareTexts(a, b))) : value,
  );
}
