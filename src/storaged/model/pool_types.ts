// The types of pools that libvirt knows, each with what its definition has to say. Their order is libvirt's
// numbering.

/** Formats of image files, in libvirt's order. */
export const FILE_FORMATS = [
  "none",
  "raw",
  "dir",
  "bochs",
  "cloop",
  "dmg",
  "iso",
  "vpc",
  "vdi",
  "fat",
  "vhd",
  "ploop",
  "cow",
  "qcow",
  "qcow2",
  "qed",
  "vmdk",
] as const;

/** Formats that a pool's source may have, by type of the pool. The first is the default. */
const FILE_SYSTEMS = [
  "auto",
  "ext2",
  "ext3",
  "ext4",
  "ufs",
  "iso9660",
  "udf",
  "gfs",
  "gfs2",
  "vfat",
  "hfs+",
  "xfs",
  "ocfs2",
  "vmfs",
] as const;
const NETWORK_FILE_SYSTEMS = ["auto", "nfs", "glusterfs", "cifs"] as const;
const PARTITION_TABLES = ["unknown", "dos", "dvh", "gpt", "mac", "bsd", "pc98", "sun", "lvm2"] as const;
const PARTITIONS = [
  "none",
  "linux",
  "fat16",
  "fat32",
  "linux-swap",
  "linux-lvm",
  "linux-raid",
  "extended",
] as const;

/** What a source may name; an XML element for each but the adapter, which has its own rules. */
export type SourcePart = "host" | "device" | "dir" | "adapter" | "name" | "initiator" | "network";

/** Formats with the default among them. */
export interface Formats {
  readonly names: readonly string[];
  readonly standard: string;
  /** How many of the names the capabilities list. */
  readonly listed: number;
}

/** What a definition of one type has to say. */
export interface PoolType {
  readonly name: string;
  readonly parts: readonly SourcePart[];
  /** Formats of the source; undefined where a source has none. */
  readonly sourceFormats: Formats | undefined;
  /** Formats of volumes; undefined where volumes have none. */
  readonly volumeFormats: Formats | undefined;
}

function formats(names: readonly string[], standard: string, listed = names.length): Formats {
  return { names, standard, listed };
}

const FILES = formats(FILE_FORMATS, "raw");

function type(
  name: string,
  parts: readonly SourcePart[],
  sourceFormats?: Formats,
  volumeFormats?: Formats,
): PoolType {
  return { name, parts, sourceFormats, volumeFormats };
}

/** All types; the index is libvirt's number. */
export const POOL_TYPES: readonly PoolType[] = [
  type("dir", [], undefined, FILES),
  type("fs", ["device"], formats(FILE_SYSTEMS, "auto"), FILES),
  type("netfs", ["host", "dir"], formats(NETWORK_FILE_SYSTEMS, "auto"), FILES),
  type("logical", ["name", "device"], formats(["unknown", "lvm2"], "lvm2")),
  type("disk", ["device"], formats(PARTITION_TABLES, "unknown"), formats(PARTITIONS, "none")),
  type("iscsi", ["host", "device", "initiator"]),
  type("iscsi-direct", ["host", "device", "network", "initiator"]),
  type("scsi", ["adapter"]),
  type("mpath", []),
  // libvirt's capabilities list no format for it, though its volumes have one.
  type("rbd", ["host", "network", "name"], undefined, formats(FILE_FORMATS, "raw", 0)),
  type("sheepdog", ["host", "network", "name"]),
  type("gluster", ["host", "network", "name", "dir"], undefined, FILES),
  type("zfs", ["name", "device"]),
  type("vstorage", ["name"], undefined, FILES),
];

/** A type by its name; undefined when there is none. */
export function poolType(name: string): PoolType | undefined {
  return POOL_TYPES.find((each) => each.name === name);
}

/** libvirt's number of a type. */
export function poolTypeNumber(name: string): number {
  return POOL_TYPES.findIndex((each) => each.name === name);
}
