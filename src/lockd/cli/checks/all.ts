import type { Check } from "./check.ts";
import { cluster } from "./cluster.ts";
import { configuration } from "./configuration.ts";
import { daemonRuns } from "./daemon_runs.ts";
import { denials } from "./denials.ts";
import { descriptorStore } from "./descriptor_store.ts";
import { deviceLocks } from "./device_locks.ts";
import { leaseSettings } from "./lease_settings.ts";
import { leases } from "./leases.ts";
import { limits } from "./limits.ts";
import { lockDirectories } from "./lock_directories.ts";
import { lockFiles } from "./lock_files.ts";
import { lockManager } from "./lock_manager.ts";
import { lockPlugin } from "./lock_plugin.ts";
import { lockStates } from "./lock_states.ts";
import { networkLocks } from "./network_locks.ts";
import { neverLocked } from "./never_locked.ts";
import { owners } from "./owners.ts";
import { slowStorage } from "./slow_storage.ts";
import { uncoveredDisks } from "./uncovered_disks.ts";
import { units } from "./units.ts";
import { unlockedGuests } from "./unlocked_guests.ts";

/** Every check of `virtlockd doctor`, in the order in which a reader wants to know. */
export const CHECKS: readonly Check[] = [
  daemonRuns,
  configuration,
  lockManager,
  lockPlugin,
  leaseSettings,
  unlockedGuests,
  neverLocked,
  lockStates,
  owners,
  deviceLocks,
  lockDirectories,
  leases,
  lockFiles,
  networkLocks,
  slowStorage,
  cluster,
  uncoveredDisks,
  limits,
  descriptorStore,
  units,
  denials,
];
