import type { WrittenDisk } from "./written_disk.ts";
import type { Host } from "./host.ts";
import { childOf, childText } from "./xml.ts";
import { readXml } from "./xml_file.ts";

/** A storage pool of libvirt's. */
interface Pool {
  readonly type: string;
  /** Where its volumes are; undefined for one on the network. */
  readonly path: string | undefined;
}

/** Pools whose volumes are files or devices named after them in the pool's directory. */
const BY_NAME: readonly string[] = ["dir", "fs", "netfs", "logical", "vstorage"];

/** libvirt's storage pools: they know the paths of disks that are volumes. */
export class StoragePools {
  readonly #pools: ReadonlyMap<string, Pool>;

  private constructor(pools: ReadonlyMap<string, Pool>) {
    this.#pools = pools;
  }

  /** Reads the pools that are defined or active on a host. */
  static read(host: Host): StoragePools {
    const pools = new Map<string, Pool>();
    for (const directory of host.places.pools) {
      for (const file of host.list(directory).filter((name) => name.endsWith(".xml"))) {
        const root = readXml(host, `${directory}/${file}`);
        if (typeof root === "string") continue;
        // What libvirt knows of an active one is inside an element of its own.
        const pool = root.name === "pool" ? root : childOf(root, "pool");
        const path = childText(childOf(pool, "target"), "path");
        pools.set(childText(pool, "name") ?? "", { type: pool?.attributes.get("type") ?? "", path });
      }
    }
    return new StoragePools(pools);
  }

  /** The disk that a volume is. */
  diskOf(poolName: string, volume: string): WrittenDisk {
    const what = `volume ${volume} of pool ${poolName}`;
    const pool = this.#pools.get(poolName);
    if (pool === undefined) return { kind: "unknown volume", what };
    // Such a pool has no place in the file system: QEMU reaches its volumes over the network itself.
    if (pool.path === undefined) return { kind: "never locked", what: `${what} (${pool.type})` };
    if (!BY_NAME.includes(pool.type)) return { kind: "unknown volume", what };
    return { kind: "path", path: `${pool.path}/${volume}` };
  }
}
