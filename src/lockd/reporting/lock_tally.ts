import { type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import { isMissing } from "../lockspace/lock_record.ts";
import type { LockTable } from "../lockspace/lock_table.ts";

/** Locks of one lockspace. */
export interface ModeCounts {
  exclusive: number;
  shared: number;
}

/** All locks, counted. */
export interface LockTally {
  /** By path; lockspaces without a lock too. */
  readonly lockspaces: ReadonlyMap<string, ModeCounts>;
  exclusive: number;
  shared: number;
  /** In doubt, or missing. */
  doubtful: number;
  /** Not held although their owners were told so. */
  lost: number;
  /** POSIX locks, inherited from libvirt's daemon. */
  posix: number;
  /** Owners of any. */
  holders: number;
}

/** Counts the locks. 40,000 take a few milliseconds. */
export function tallyLocks(table: Pick<LockTable, "lockspaces">): LockTally {
  const lockspaces = new Map<string, ModeCounts>();
  const holders = new Set<OwnerKey>();
  let doubtful = 0;
  let lost = 0;
  let posix = 0;
  for (const [path, { resources }] of table.lockspaces) {
    const counts: ModeCounts = { exclusive: 0, shared: 0 };
    lockspaces.set(path, counts);
    for (const resource of resources.values()) {
      if (resource.shared) counts.shared++;
      else counts.exclusive++;
      const missing = isMissing(resource.state);
      if (missing) lost++;
      if (missing || resource.state.kind === "doubtful") doubtful++;
      const { handle } = resource;
      if (handle.kind === "file" && handle.lock === "posix") posix++;
      for (const { owner } of resource.holdings) holders.add(ownerKey(owner));
    }
  }
  const all = [...lockspaces.values()];
  return {
    lockspaces,
    exclusive: all.reduce((sum, counts) => sum + counts.exclusive, 0),
    shared: all.reduce((sum, counts) => sum + counts.shared, 0),
    doubtful,
    lost,
    posix,
    holders: holders.size,
  };
}
