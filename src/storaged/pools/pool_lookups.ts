import { backendOf } from "../backends/backends.ts";
import type { StorageService } from "../model/storage_service.ts";
import { formatPool } from "../xml/pool_xml.ts";
import type { Core } from "./core.ts";
import { checkFlags, XML_INACTIVE } from "./flags.ts";
import { attempt } from "./outcome.ts";
import type { Pool } from "./pool.ts";
import { isListed, LIST_FLAGS } from "./pool_list.ts";
import { whenSettled } from "./pool_work.ts";
import { storageError } from "../model/storage_error.ts";

/** virStoragePoolState. */
const INACTIVE = 0;
const RUNNING = 2;
/** Active, but its storage does not answer. */
const INACCESSIBLE = 4;

function stateOf({ state, answers }: Pool): number {
  if (state.kind !== "active") return INACTIVE;
  return answers ? RUNNING : INACCESSIBLE;
}

/** The calls that find pools. They wait for none. */
export function poolLookups(core: Core): Pick<
  StorageService,
  "poolNames" | "listPools" | "poolByName" | "poolByUuid" | "poolByVolume" | "poolByTargetPath"
> {
  const { pools } = core;
  return {
    poolNames: (active, answer) =>
      attempt(answer, () => pools.all.filter((pool) => pool.shownActive === active).map(({ name }) => name)),
    listPools: (flags, answer) =>
      attempt(answer, () => {
        checkFlags(flags, LIST_FLAGS, "storageConnectListAllStoragePools");
        return pools.all.filter((pool) => isListed(pool, flags)).map(({ ref }) => ref);
      }),
    poolByName: (name, answer) => attempt(answer, () => pools.byName(name).ref),
    poolByUuid: (uuid, answer) => attempt(answer, () => pools.byUuid(uuid).ref),
    poolByVolume: (volume, answer) => attempt(answer, () => pools.byName(volume.pool).ref),
    poolByTargetPath: (path, answer) => attempt(answer, () => pools.byTargetPath(path).ref),
  };
}

/** The calls that ask a pool how it is. */
export function poolQuestions(core: Core): Pick<
  StorageService,
  | "poolInfo"
  | "poolXml"
  | "poolIsActive"
  | "poolIsPersistent"
  | "poolAutostart"
  | "setPoolAutostart"
> {
  const { pools, files } = core;
  return {
    poolInfo: (ref, answer) =>
      whenSettled(core, () => pools.byRef(ref), answer, (pool) =>
        attempt(answer, () => {
          backendOf(pool.definition.type);
          return { state: stateOf(pool), ...pool.sizes };
        })),
    poolXml: (ref, flags, answer) =>
      whenSettled(core, () => pools.byRef(ref), answer, (pool) =>
        attempt(answer, () => {
          checkFlags(flags, XML_INACTIVE, "storagePoolGetXMLDesc");
          const { pending } = pool;
          if ((flags & XML_INACTIVE) !== 0 && pending !== undefined) {
            return formatPool(pending, { capacity: 0n, allocation: 0n, available: 0n });
          }
          return formatPool(pool.definition, pool.sizes);
        })),
    poolIsActive: (ref, answer) =>
      whenSettled(
        core,
        () => pools.byRef(ref),
        answer,
        (pool) => attempt(answer, () => pool.state.kind === "active"),
      ),
    poolIsPersistent: (ref, answer) => attempt(answer, () => pools.byRef(ref).persistent),
    poolAutostart: (ref, answer) => attempt(answer, () => pools.byRef(ref).autostart),
    setPoolAutostart: (ref, on, answer) =>
      attempt(answer, () => {
        const pool = pools.byRef(ref);
        if (!pool.persistent) throw storageError("internal", "pool has no config file");
        if (pool.autostart === on) return;
        files.setAutostart(pool.name, on);
        pool.autostart = on;
      }),
  };
}
