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
  /** Images below those of the disks that it may write, which it reads: libvirt locks none of them. */
  readonly backing: readonly string[];
}

/** Reads a `domain` element, of a definition or of what libvirt knows of a guest that runs. */
export function readDomain(domain: XmlElement, pools: StoragePools): Domain {
  const devices = childOf(domain, "devices");
  const name = childText(domain, "name") ?? "";
  const disks = childrenOf(devices, "disk").filter((disk) => !isRead(disk));
  return {
    name,
    uuid: childText(domain, "uuid") ?? "",
    disks: disks.flatMap((disk) => writtenDisk(disk, pools)),
    leases: childrenOf(devices, "lease").map((lease) => {
      const target = childOf(lease, "target")?.attributes.get("path") ?? "";
      return {
        directory: `${target}/${childText(lease, "lockspace") ?? ""}`,
        key: childText(lease, "key") ?? "",
      };
    }),
    backing: disks.flatMap((disk) => [...transientBase(disk, name), ...imagesBelow(disk)]),
  };
}

/** Paths of disks that are locked by them. */
export function lockedPaths(domains: readonly Domain[]): string[] {
  return domains.flatMap(({ disks }) => disks.flatMap((disk) => disk.kind === "path" ? [disk.path] : []));
}

/** Whether a guest may only read a disk. */
function isRead(disk: XmlElement): boolean {
  return disk.attributes.get("device") === "cdrom" || childOf(disk, "readonly") !== undefined;
}

/**
 * Which lock libvirt takes on a disk that a guest may write (docs/protocol.md, What libvirt asks for): on its
 * topmost image alone, and none on an empty drive.
 */
function writtenDisk(disk: XmlElement, pools: StoragePools): WrittenDisk[] {
  const source = childOf(disk, "source");
  if (source === undefined) return [];
  const attribute = (name: string) => source.attributes.get(name);
  const type = disk.attributes.get("type") ?? "file";
  switch (type) {
    case "file":
    case "block":
    case "dir":
      return pathDisk(attribute(PATH_ATTRIBUTES[type]));
    case "volume":
      return [pools.diskOf(attribute("pool") ?? "", attribute("volume") ?? "")];
    case "network":
      return [{ kind: "never locked", what: networkText(source) }];
    default:
      return [{
        kind: "never locked",
        what: `${type} ${childOf(disk, "target")?.attributes.get("dev") ?? ""}`,
      }];
  }
}

/** Which attribute of a source is the path, by the type of the disk or image. */
const PATH_ATTRIBUTES = { file: "file", block: "dev", dir: "dir" } as const;

function pathDisk(path: string | undefined): WrittenDisk[] {
  return path === undefined || path === "" ? [] : [{ kind: "path", path }];
}

function networkText(source: XmlElement): string {
  return `${source.attributes.get("protocol")} ${source.attributes.get("name") ?? ""}`.trim();
}

/**
 * The image that a transient disk begins with: while the guest runs, an image of its own is locked that lies
 * upon it.
 */
function transientBase(disk: XmlElement, guest: string): string[] {
  if (childOf(disk, "transient") === undefined) return [];
  return imageOf(disk).filter((image) => !image.endsWith(`.TRANSIENT-${guest}`));
}

/** The images that a disk is based on, from the top. */
function imagesBelow(image: XmlElement): string[] {
  const below = childOf(image, "backingStore");
  return below === undefined ? [] : [...imageOf(below), ...imagesBelow(below)];
}

/** What a disk, or an image below one, is, where it is a path or on the network. */
function imageOf(image: XmlElement): string[] {
  const source = childOf(image, "source");
  const type = image.attributes.get("type") ?? "";
  switch (type) {
    case "file":
    case "block":
    case "dir": {
      const path = source?.attributes.get(PATH_ATTRIBUTES[type]);
      return path === undefined ? [] : [path];
    }
    case "network":
      return source === undefined ? [] : [networkText(source)];
    default:
      return [];
  }
}
