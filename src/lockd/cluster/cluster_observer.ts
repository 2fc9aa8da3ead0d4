import type { EarlierStartsObserver } from "./reboot/earlier_starts.ts";
import type { EtcdVersionsObserver } from "./etcd/etcd_versions.ts";
import type { HostFencingObserver } from "./fencing/host_fencing.ts";
import type { KeyCheckObserver } from "./reconcile/key_check.ts";
import type { LostGuestsObserver } from "./reconcile/lost_guests.ts";
import type { LostLocksObserver } from "./reconcile/lost_locks.ts";
import type { ReconciliationObserver } from "./reconcile/reconciliation.ts";
import type { SessionObserver } from "./session/session_parts.ts";

/** Told of what becomes of this host's membership in a cluster. */
export interface ClusterObserver
  extends
    SessionObserver,
    ReconciliationObserver,
    KeyCheckObserver,
    LostLocksObserver,
    LostGuestsObserver,
    EtcdVersionsObserver,
    EarlierStartsObserver,
    HostFencingObserver {}
