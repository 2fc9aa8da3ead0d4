import { invalidArg } from "../../chassis/wire/rpc_error.ts";
import { notWhole, storageError } from "../model/storage_error.ts";
import type { Answer, Caller, StorageService, VolumeRef } from "../model/storage_service.ts";
import { WIPE_ALGORITHMS } from "../volumes/change_volume.ts";
import type { Core } from "./core.ts";
import { checkFlags, RESIZE_ALLOCATE, RESIZE_DELTA, RESIZE_SHRINK } from "./flags.ts";
import { attempting, done, refused } from "./outcome.ts";
import { jobOptions } from "./job_work.ts";
import { runInPlace } from "./pool_work.ts";
import { beginChange, type VolumeEntry } from "./volume_list.ts";
import { whenFound, whenLookedAt } from "./volume_questions.ts";

const STORAGE_DOMAIN = 18;

/** The calls that change a volume that is there. */
export function volumeChanges(core: Core): Pick<
  StorageService,
  "deleteVolume" | "wipeVolume" | "resizeVolume"
> {
  return {
    deleteVolume: (caller, ref, flags, answer) => deleteVolume(core, caller, ref, flags, answer),
    wipeVolume: (caller, ref, algorithm, flags, answer) =>
      wipeVolume(core, caller, ref, algorithm, flags, answer),
    resizeVolume: (caller, ref, capacity, flags, answer) =>
      resizeVolume(core, caller, ref, capacity, flags, answer),
  };
}

/** @throws RpcFailure when a change would harm what somebody does with a volume */
export function refuseUsed({ definition: { name }, use }: VolumeEntry): void {
  switch (use.kind) {
    case "unused":
      return;
    case "made":
      throw storageError("invalid", `volume '${name}' is still being allocated.`);
    case "read":
    case "changed":
      throw storageError("invalid", `volume '${name}' is still in use.`);
  }
}

/** @throws RpcFailure when what is in a volume is not what anybody wanted */
export function refuseHalf({ definition: { name, interrupted } }: VolumeEntry): void {
  if (interrupted) throw notWhole(name);
}

function deleteVolume(
  core: Core,
  caller: Caller,
  ref: VolumeRef,
  flags: number,
  answer: Answer<void>,
): void {
  whenFound(core, ref, answer, (pool, entry) => {
    refuseUsed(entry);
    checkFlags(flags, 0, "virStorageBackendVolDeleteLocal");
    const { definition: volume } = entry;
    const job = core.jobs.begin({ kind: "delete", pool, volume: volume.name, caller });
    const options = { ...jobOptions(core, job), over: beginChange(entry) };
    runInPlace(core, pool, core.operations.deleteVolume, { volume }, options, () => {
      pool.volumes.remove(entry);
      pool.use(-volume.allocation);
      done(answer, undefined);
    }, (failure) => refused(answer, failure));
  });
}

function wipeVolume(
  core: Core,
  caller: Caller,
  ref: VolumeRef,
  algorithm: number,
  flags: number,
  answer: Answer<void>,
): void {
  attempting(answer, () => {
    checkFlags(flags, 0, "storageVolWipePattern");
    if (algorithm >= WIPE_ALGORITHMS) {
      throw invalidArg(STORAGE_DOMAIN, `wiping algorithm ${algorithm} not supported`);
    }
    whenFound(core, ref, answer, (pool, entry) => {
      refuseUsed(entry);
      const { definition: volume } = entry;
      const job = core.jobs.begin({ kind: "wipe", pool, volume: volume.name, caller });
      const options = { ...jobOptions(core, job), over: beginChange(entry) };
      const args = { volume, algorithm };
      runInPlace(core, pool, core.operations.wipeVolume, args, options, (wiped) => {
        entry.definition = wiped;
        done(answer, undefined);
      }, (failure) => refused(answer, failure));
    });
  });
}

/** The size that a volume is to have. @throws RpcFailure for one that it cannot have */
function newCapacity(entry: VolumeEntry, capacity: bigint, flags: number): bigint {
  const { definition: volume } = entry;
  const shrink = (flags & RESIZE_SHRINK) !== 0;
  const less = capacity < volume.capacity ? volume.capacity - capacity : 0n;
  const wanted = (flags & RESIZE_DELTA) === 0 ? capacity : shrink ? less : volume.capacity + capacity;
  if (wanted < volume.allocation) {
    throw invalidArg(STORAGE_DOMAIN, "can't shrink capacity below existing allocation");
  }
  if (wanted < volume.capacity && !shrink) {
    const detail = "Can't shrink capacity below current capacity unless shrink flag explicitly specified";
    throw invalidArg(STORAGE_DOMAIN, detail);
  }
  return wanted;
}

function resizeVolume(
  core: Core,
  caller: Caller,
  ref: VolumeRef,
  asked: bigint,
  flags: number,
  answer: Answer<void>,
): void {
  attempting(answer, () => {
    checkFlags(flags, RESIZE_ALLOCATE | RESIZE_DELTA | RESIZE_SHRINK, "storageVolResize");
    // Somebody may have made it longer since it was looked at: what is in it then must not be cut off.
    whenLookedAt(core, ref, answer, refuseUsed, (pool, entry) => {
      const { definition: volume } = entry;
      const capacity = newCapacity(entry, asked, flags);
      const allocate = (flags & RESIZE_ALLOCATE) !== 0;
      const more = allocate ? capacity - volume.allocation : 0n;
      if (more > pool.sizes.available) {
        throw storageError("failed", "Not enough space left in storage pool");
      }
      const job = core.jobs.begin({ kind: "resize", pool, volume: volume.name, caller });
      const options = { ...jobOptions(core, job), over: beginChange(entry) };
      const args = { volume, capacity, allocate };
      runInPlace(core, pool, core.operations.resizeVolume, args, options, (resized) => {
        entry.definition = resized;
        pool.use(more);
        done(answer, undefined);
      }, (failure) => refused(answer, failure));
    });
  });
}
