import type { PoolDefinition } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import type { PoolRef } from "../model/storage_service.ts";
import { cleanPath } from "../xml/clean_path.ts";
import { Pool } from "./pool.ts";

/** All pools, in the order in which they became known. */
export class PoolList {
  readonly #pools = new Map<string, Pool>();

  get all(): readonly Pool[] {
    return [...this.#pools.values()];
  }

  /** @throws RpcFailure when there is none */
  byRef({ uuid, name }: PoolRef): Pool {
    const pool = this.#pools.get(uuid);
    if (pool !== undefined) return pool;
    throw storageError("no-pool", `no storage pool with matching uuid '${uuid}' (${name})`);
  }

  /** @throws RpcFailure when there is none */
  byUuid(uuid: string): Pool {
    const pool = this.#pools.get(uuid);
    if (pool !== undefined) return pool;
    throw storageError("no-pool", `no storage pool with matching uuid '${uuid}'`);
  }

  /** @throws RpcFailure when there is none */
  byName(name: string): Pool {
    const pool = this.find(name);
    if (pool !== undefined) return pool;
    throw storageError("no-pool", `no storage pool with matching name '${name}'`);
  }

  find(name: string): Pool | undefined {
    return this.all.find((pool) => pool.name === name);
  }

  /** One that is up. @throws RpcFailure when there is none */
  byTargetPath(path: string): Pool {
    const clean = cleanPath(path);
    const pool = this.all.find((each) => each.shownActive && each.definition.target.path === clean);
    if (pool !== undefined) return pool;
    const also = clean === path ? "" : ` (${clean})`;
    throw storageError("no-pool", `no storage pool with matching target path '${path}'${also}`);
  }

  /**
   * The pool of a definition: one that is known, or a new one.
   *
   * @throws RpcFailure when name, uuid or storage are another pool's
   */
  place(definition: PoolDefinition): { pool: Pool; isNew: boolean } {
    const { name, uuid } = definition;
    const rival = this.all.find((pool) => pool.name !== name && sameSource(pool.definition, definition));
    if (rival !== undefined) {
      throw storageError("failed", `Storage source conflict with pool: '${rival.name}'`);
    }
    const known = this.#pools.get(uuid);
    if (known !== undefined) {
      if (known.name === name) return { pool: known, isNew: false };
      throw storageError("failed", `pool '${known.name}' is already defined with uuid ${uuid}`);
    }
    const named = this.find(name);
    if (named !== undefined) {
      throw storageError("failed", `pool '${name}' already exists with uuid ${named.uuid}`);
    }
    const pool = new Pool(definition);
    this.#pools.set(uuid, pool);
    return { pool, isNew: true };
  }

  remove({ uuid }: Pool): void {
    this.#pools.delete(uuid);
  }
}

/** Types whose pools are made of devices of the host. */
const OF_DEVICES = ["fs", "logical", "disk", "iscsi", "zfs"];

/** Whether two pools would use the same storage. */
function sameSource(one: PoolDefinition, other: PoolDefinition): boolean {
  if (OF_DEVICES.includes(one.type) && OF_DEVICES.includes(other.type)) {
    if ((one.type === "iscsi") !== (other.type === "iscsi")) return false;
    return one.source.devices.some(({ path }) => other.source.devices.some((each) => each.path === path));
  }
  if (one.type !== other.type) return false;
  switch (one.type) {
    case "dir":
      return one.target.path === other.target.path;
    case "netfs":
      return one.source.dir === other.source.dir && sameHost(one, other);
    default:
      return false;
  }
}

function sameHost(one: PoolDefinition, other: PoolDefinition): boolean {
  const [first, ...firsts] = one.source.hosts;
  const [second, ...seconds] = other.source.hosts;
  if (first === undefined || second === undefined || firsts.length + seconds.length > 0) return false;
  return first.name === second.name && (first.port === second.port || first.port === 0 || second.port === 0);
}

/** Groups of virConnectListAllStoragePoolsFlags: a pool must be of each group that is asked for. */
const INACTIVE = 1;
const ACTIVE = 2;
const PERSISTENT = 4;
const TRANSIENT = 8;
const AUTOSTART = 16;
const NO_AUTOSTART = 32;
const FIRST_TYPE = 64;
/** All that there are. */
export const LIST_FLAGS = 0xfffff;
/** Types by their flags; libvirt's order there is not that of their numbers. */
const LISTED_TYPES = [
  "dir",
  "fs",
  "netfs",
  "logical",
  "disk",
  "iscsi",
  "scsi",
  "mpath",
  "rbd",
  "sheepdog",
  "gluster",
  "zfs",
  "vstorage",
  "iscsi-direct",
];

/** Whether a list with these flags shows a pool. */
export function isListed(pool: Pool, flags: number): boolean {
  const group = (one: number, isOne: boolean, other: number) => {
    const asked = flags & (one | other);
    return asked === 0 || (asked & (isOne ? one : other)) !== 0;
  };
  const types = flags & ~(FIRST_TYPE - 1) & LIST_FLAGS;
  return group(ACTIVE, pool.shownActive, INACTIVE) && group(PERSISTENT, pool.persistent, TRANSIENT) &&
    group(AUTOSTART, pool.autostart, NO_AUTOSTART) &&
    (types === 0 || (types & FIRST_TYPE << LISTED_TYPES.indexOf(pool.definition.type)) !== 0);
}
