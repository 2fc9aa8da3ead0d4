import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { storageError } from "../model/storage_error.ts";
import type { Answer, StorageService, VolumeRef } from "../model/storage_service.ts";
import { VOLUME_TYPES, type VolumeDefinition } from "../model/volume_definition.ts";
import { cleanPath } from "../xml/clean_path.ts";
import { formatVolume } from "../xml/volume_xml.ts";
import type { Core } from "./core.ts";
import { checkFlags, PHYSICAL } from "./flags.ts";
import { attempt, attempting, done, refused } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { askOptions, runInPlace, whenActive } from "./pool_work.ts";
import type { VolumeEntry } from "./volume_list.ts";

/** How clients name a volume. */
export function volumeRef(pool: Pool, { name, key }: VolumeDefinition): VolumeRef {
  return { pool: pool.name, name, key: key ?? "" };
}

/** A volume of a pool that is up. @throws RpcFailure when there is none of that name */
export function volumeIn(pool: Pool, name: string): VolumeEntry {
  const entry = pool.volumes.find(name);
  if (entry !== undefined) return entry;
  throw storageError("no-volume", `no storage vol with matching name '${name}'`);
}

/** Goes on with a volume as soon as it is known whether its pool is up. */
export function whenFound<Value>(
  core: Core,
  ref: VolumeRef,
  answer: Answer<Value>,
  go: (pool: Pool, entry: VolumeEntry) => void,
): void {
  whenActive(
    core,
    () => core.pools.byName(ref.pool),
    answer,
    (pool) => attempting(answer, () => go(pool, volumeIn(pool, ref.name))),
  );
}

/** The calls that find volumes. */
export function volumeLookups(core: Core): Pick<
  StorageService,
  "volumeNames" | "listVolumes" | "volumeByName" | "volumeByKey" | "volumeByPath" | "volumePath"
> {
  const { pools } = core;
  const find = <Value>(
    answer: Answer<Value>,
    look: (pool: Pool) => Value | undefined,
    missing: () => RpcFailure,
  ) =>
    settledPools(core, (all) =>
      attempt(answer, () => {
        for (const pool of all) {
          const value = pool.state.kind === "active" ? look(pool) : undefined;
          if (value !== undefined) return value;
        }
        throw missing();
      }));
  return {
    volumeNames: (ref, answer) =>
      whenActive(
        core,
        () => pools.byRef(ref),
        answer,
        (pool) => done(answer, pool.volumes.identities.map(({ name }) => name)),
      ),
    listVolumes: (ref, flags, answer) =>
      attempting(answer, () => {
        checkFlags(flags, 0, "storagePoolListAllVolumes");
        whenActive(
          core,
          () => pools.byRef(ref),
          answer,
          (pool) =>
            done(answer, pool.volumes.identities.map(({ name, key }) => ({ pool: pool.name, name, key }))),
        );
      }),
    volumeByName: (ref, name, answer) =>
      whenActive(
        core,
        () => pools.byRef(ref),
        answer,
        (pool) => attempt(answer, () => volumeRef(pool, volumeIn(pool, name).definition)),
      ),
    volumeByKey: (key, answer) =>
      find(
        answer,
        (pool) => refOf(pool, pool.volumes.byKey(key)),
        () => storageError("no-volume", `no storage vol with matching key ${key}`),
      ),
    volumeByPath: (path, answer) => {
      const clean = cleanPath(path);
      const also = clean === path ? "" : ` (${clean})`;
      find(
        answer,
        (pool) => refOf(pool, pool.volumes.byPath(clean)),
        () => storageError("no-volume", `no storage vol with matching path '${path}'${also}`),
      );
    },
    volumePath: (ref, answer) =>
      whenFound(core, ref, answer, (_pool, { definition }) => done(answer, definition.path ?? "")),
  };
}

function refOf(pool: Pool, entry: VolumeEntry | undefined): VolumeRef | undefined {
  return entry === undefined ? undefined : volumeRef(pool, entry.definition);
}

/** A path may be in any pool: those that are being looked at first are waited for, within the limit. */
function settledPools(core: Core, go: (pools: readonly Pool[]) => void): void {
  const changing = core.pools.all.filter((pool) => pool.state.kind === "changing");
  let left = changing.length;
  if (left === 0) return go(core.pools.all);
  const next = () => {
    left--;
    if (left === 0) finish();
  };
  let finished = false;
  const finish = () => {
    if (finished) return;
    finished = true;
    timer.cancel();
    go(core.pools.all);
  };
  const timer = core.parts.loop.after(core.parts.settings().answerLimit, finish);
  for (const pool of changing) pool.waiting.push(next);
}

/** The calls that look at a volume again before they answer. */
export function volumeQuestions(core: Core): Pick<StorageService, "volumeInfo" | "volumeXml"> {
  return {
    volumeInfo: (ref, flags, answer) =>
      attempting(answer, () => {
        checkFlags(flags, PHYSICAL, "storageVolGetInfoFlags");
        whenFound(core, ref, answer, (pool, entry) =>
          update(core, pool, entry, answer, ({ type, capacity, allocation, physical }) => ({
            type: VOLUME_TYPES.indexOf(type),
            capacity,
            allocation: (flags & PHYSICAL) !== 0 ? physical : allocation,
          })));
      }),
    volumeXml: (ref, flags, answer) =>
      attempting(answer, () => {
        checkFlags(flags, 0, "storageVolGetXMLDesc");
        whenFound(core, ref, answer, (pool, entry) =>
          update(core, pool, entry, answer, (volume) =>
            formatVolume(pool.definition, volume)));
      }),
  };
}

/** Looks at a volume, and answers with what is made of it. */
function update<Value>(
  core: Core,
  pool: Pool,
  entry: VolumeEntry,
  answer: Answer<Value>,
  value: (volume: VolumeDefinition) => Value,
): void {
  look(
    core,
    pool,
    entry,
    (volume) => attempt(answer, () => value(volume)),
    (failure) => refused(answer, failure),
  );
}

/**
 * As {@link whenFound}, with a volume that has just been looked at: what is known of it may be old.
 *
 * @param refuse throws RpcFailure when it cannot be had; asked before and after
 */
export function whenLookedAt<Value>(
  core: Core,
  ref: VolumeRef,
  answer: Answer<Value>,
  refuse: (entry: VolumeEntry) => void,
  go: (pool: Pool, entry: VolumeEntry) => void,
): void {
  whenFound(core, ref, answer, (pool, entry) => {
    refuse(entry);
    const again = () =>
      whenFound(core, ref, answer, (pool, entry) => {
        refuse(entry);
        go(pool, entry);
      });
    look(core, pool, entry, again, (failure) => refused(answer, failure));
  });
}

/** Looks at a volume again: sizes, access and times may have changed. One that is being made grows. */
export function look(
  core: Core,
  pool: Pool,
  entry: VolumeEntry,
  looked: (volume: VolumeDefinition) => void,
  failed: (failure: RpcFailure) => void,
): void {
  const { definition: volume, use } = entry;
  const made = use.kind === "made";
  const file = made ? use.reserved : volume.name;
  runInPlace(core, pool, core.operations.updateVolume, { volume, file }, askOptions(core, pool), (found) => {
    // What its maker says of it counts until it is made.
    if (!made && entry.use.kind !== "made") entry.definition = found;
    looked(found);
  }, (failure) => {
    // It is not there yet, or has its own name by now.
    if (made) return looked(entry.definition);
    failed(failure);
  });
}
