import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { StorageService } from "../model/storage_service.ts";
import type { Listing } from "../operations/listing.ts";
import { VolumeRows } from "../volumes/volume_rows.ts";
import type { Core } from "./core.ts";
import { checkFlags } from "./flags.ts";
import { attempting, done, refused } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { listOptions, run, runInPlace, whenActive } from "./pool_work.ts";
import type { ListRefresh } from "./volume_list.ts";

/** The call that reads a pool's list again. */
export function refreshCalls(core: Core): Pick<StorageService, "refreshPool"> {
  return {
    refreshPool: (_caller, ref, flags, answer) =>
      attempting(answer, () => {
        checkFlags(flags, 0, "storagePoolRefresh");
        whenActive(core, () => core.pools.byRef(ref), answer, (pool) =>
          refresh(core, pool, (failure) => {
            if (failure !== undefined) return refused(answer, failure);
            done(answer, undefined);
          }));
      }),
  };
}

/**
 * Reads the list of a pool that is up again. When it cannot be read the pool goes on with the one that it
 * had, unless it is to be as with libvirt's daemon, or its storage is gone.
 *
 * @param ended gets why it could not be read
 */
export function refresh(core: Core, pool: Pool, ended: (failure: RpcFailure | undefined) => void): void {
  const { volumes } = pool;
  const begun = volumes.beginRefresh();
  const rows = rowsFor(pool);
  const options = {
    ...listOptions(core, pool, "list"),
    batch: (bytes: Uint8Array) => rows.add(bytes),
  };
  const args = { host: core.parts.host };
  runInPlace(core, pool, core.operations.refreshPool, args, options, (listing: Listing) => {
    if (pool.volumes === volumes) {
      applyListing(core, pool, listing, rows, begun);
      core.tellRefresh(pool);
    }
    ended(undefined);
  }, (failure) => {
    volumes.endRefresh(begun, undefined);
    if (
      pool.state.kind === "active" && pool.volumes === volumes &&
      core.parts.settings().failedRefresh === "stop"
    ) {
      return stopUnread(core, pool, failure, ended);
    }
    ended(failure);
  });
}

/** As libvirt's daemon does with a pool that cannot be read. */
function stopUnread(
  core: Core,
  pool: Pool,
  failure: RpcFailure,
  ended: (failure: RpcFailure) => void,
): void {
  pool.change("active");
  const options = listOptions(core, pool, "start");
  const stopped = () => {
    core.stopped(pool);
    core.tell(pool, "STOPPED");
    ended(failure);
  };
  pool.whenQuiet(() => run(core, core.operations.stopPool, pool.definition, options, stopped, stopped));
}

/** For the volumes that are about to be found in a pool. */
export function rowsFor(pool: Pool): VolumeRows {
  return new VolumeRows(pool.definition.target.path ?? "");
}

/** Puts a list that was read into the place of the one before. */
export function applyListing(
  core: Core,
  pool: Pool,
  listing: Listing,
  rows: VolumeRows,
  begun: ListRefresh,
): void {
  pool.describe(listing.sizes, listing.permissions);
  pool.volumes.endRefresh(begun, rows);
  for (const name of listing.removed) {
    core.parts.log.warn(
      `Storage pool '${pool.name}': ${name} was left of a volume that was not finished, and is removed`,
    );
  }
}
