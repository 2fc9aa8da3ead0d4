import type { StorageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import type { Backend } from "./backend.ts";
import { formatDevice } from "./format_device.ts";
import { isMounted, mountPool, unmountPool } from "./mount.ts";
import { findNetworkSources } from "./nfs_exports.ts";
import { makePoolDirectory, removePoolDirectory } from "./pool_directory.ts";

/** Whether two paths are one device: names of devices are often links. */
function mounted(sys: Sys, storage: StorageSys, pool: PoolDefinition): boolean {
  const same = (one: string, other: string) => {
    const [first, second] = [storage.facts(one), storage.facts(other)];
    return typeof first !== "number" && typeof second !== "number" && first.device === second.device &&
      first.inode === second.inode;
  };
  return isMounted(sys, same, pool);
}

/** A file system that is mounted by mount(8): `fs` from a device of the host, `netfs` from a server. */
function fileSystemBackend(
  type: string,
  findSources: Backend["findSources"],
): Backend {
  return {
    type,
    check: ({ sys }, storage, pool) => mounted(sys, storage, pool),
    build: (context, storage, pool, mode) => {
      makePoolDirectory(context.sys, storage, pool);
      if (mode !== "plain") formatDevice(context, storage, pool, mode);
    },
    start: (context, storage, pool) => {
      if (!mounted(context.sys, storage, pool)) mountPool(context, pool);
    },
    stop: (context, storage, pool) => {
      if (mounted(context.sys, storage, pool)) unmountPool(context, pool);
    },
    undo: (context, storage, pool) => {
      if (mounted(context.sys, storage, pool)) unmountPool(context, pool, "undo");
    },
    remove: (_context, storage, pool) => removePoolDirectory(storage, pool),
    findSources,
  };
}

export const FILE_SYSTEM_BACKEND = fileSystemBackend("fs", undefined);
export const NETWORK_FILE_SYSTEM_BACKEND = fileSystemBackend("netfs", findNetworkSources);
