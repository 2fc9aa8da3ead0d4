import type { StoragePools } from "./storage_pools.ts";
import type { WrittenDisk } from "./written_disk.ts";
import { childOf, childrenOf, childText, type XmlElement } from "./xml.ts";

/** A lease of a guest: the lock on a file of this name in a directory. */
export interface Lease {
  readonly directory: string;
  readonly key: string;
}

/** A guest as libvirt's XML has it, as far as locks are concerned. */
export interface Domain {
  readonly name: string;
  readonly uuid: string;
  readonly disks: readonly WrittenDisk[];
  readonly leases: readonly Lease[];
}

/** Reads a `domain` element, of a definition or of what libvirt knows of a guest that runs. */
export function readDomain(domain: XmlElement, pools: StoragePools): Domain {
  const devices = childOf(domain, "devices");
  return {
    name: childText(domain, "name") ?? "",
    uuid: childText(domain, "uuid") ?? "",
    disks: childrenOf(devices, "disk").flatMap((disk) => writtenDisk(disk, pools)),
    leases: childrenOf(devices, "lease").map((lease) => {
      const target = childOf(lease, "target")?.attributes.get("path") ?? "";
      return {
        directory: `${target}/${childText(lease, "lockspace") ?? ""}`,
        key: childText(lease, "key") ?? "",
      };
    }),
  };
}

/** Paths of disks that are locked by them. */
export function lockedPaths(domains: readonly Domain[]): string[] {
  return domains.flatMap(({ disks }) => disks.flatMap((disk) => disk.kind === "path" ? [disk.path] : []));
}

/**
 * Which lock libvirt takes on a disk (docs/protocol.md, What libvirt asks for): on its topmost image alone,
 * and none on a disk that the guest may only read, nor on an empty drive.
 */
function writtenDisk(disk: XmlElement, pools: StoragePools): WrittenDisk[] {
  const source = childOf(disk, "source");
  const isRead = disk.attributes.get("device") === "cdrom" || childOf(disk, "readonly") !== undefined;
  if (isRead || source === undefined) return [];
  const attribute = (name: string) => source.attributes.get(name);
  const type = disk.attributes.get("type") ?? "file";
  switch (type) {
    case "file":
      return pathDisk(attribute("file"));
    case "block":
      return pathDisk(attribute("dev"));
    case "dir":
      return pathDisk(attribute("dir"));
    case "volume":
      return [pools.diskOf(attribute("pool") ?? "", attribute("volume") ?? "")];
    case "network":
      return [{ kind: "never locked", what: `${attribute("protocol")} ${attribute("name") ?? ""}`.trim() }];
    default:
      return [{
        kind: "never locked",
        what: `${type} ${childOf(disk, "target")?.attributes.get("dev") ?? ""}`,
      }];
  }
}

function pathDisk(path: string | undefined): WrittenDisk[] {
  return path === undefined || path === "" ? [] : [{ kind: "path", path }];
}
