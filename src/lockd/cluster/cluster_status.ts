import type { SettingsInUse } from "../identity/cluster_settings_in_use.ts";
import type { RebootStatus } from "./reboot/earlier_starts.ts";
import type { EtcdMember } from "./etcd/etcd_members.ts";
import type { FencingStatus } from "./fencing/host_fencing.ts";

/** How a host's membership in a cluster is doing: part of the status document, see docs/json.md. */
export interface ClusterStatus {
  readonly name: string;
  /** Id of the host in the cluster; "" where it cannot be a member. */
  readonly host: string;
  readonly session: string;
  readonly state: "joining" | "live" | "closed" | "unsure" | "lost" | "broken";
  /** What is in the way. */
  readonly reason?: string;
  /** The members of etcd, with their versions; absent until they have been asked. */
  readonly etcd?: readonly EtcdMember[];
  /** How long ago etcd has last answered. */
  readonly silentMs?: number;
  /** Locks that etcd has for this host and this daemon. */
  readonly locks: number;
  /** Locks that this host has beside, which no other host is told of. An older daemon does not tell. */
  readonly local?: number;
  /** Locks of this host's guests that others have. An older daemon does not tell. */
  readonly lost?: number;
  /**
   * Guests that stand still because a signal has stopped them: those with locks in doubt, and those that this
   * daemon has stopped. An older one does not tell.
   */
  readonly stopped?: number;
  /** Of {@link locks}, those that are kept for guests that are paused. */
  readonly parked: number;
  /** Locks that others got while their guest was paused. */
  readonly left: number;
  /** Locks that are being given back. */
  readonly releasing: number;
  /** Locks that etcd has for processes of which this daemon knows nothing. */
  readonly unknown: number;
  /** Hosts that are fenced by a program; absent where none is configured. */
  readonly fencing?: FencingStatus;
  /** Whether the host frees by itself what it had before a reboot. An older daemon does not tell. */
  readonly reboot?: RebootStatus;
  /** The settings that it has until a reload. An older daemon does not tell. */
  readonly settings?: SettingsInUse;
}
