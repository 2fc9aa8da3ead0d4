import type { EtcdVersionsObserver } from "./etcd_versions.ts";
import type { HostFencingObserver } from "./host_fencing.ts";
import type { KeyCheckObserver } from "./key_check.ts";
import type { LostGuestsObserver } from "./lost_guests.ts";
import type { LostLocksObserver } from "./lost_locks.ts";
import type { ReconciliationObserver } from "./reconciliation.ts";
import type { SessionObserver } from "./session_parts.ts";

/** Told of what becomes of this host's membership in a cluster. */
export interface ClusterObserver
  extends
    SessionObserver,
    ReconciliationObserver,
    KeyCheckObserver,
    LostLocksObserver,
    LostGuestsObserver,
    EtcdVersionsObserver,
    HostFencingObserver {}
