import type { FileFacts } from "../../os/file_facts.ts";
import type { Permissions } from "../model/pool_definition.ts";
import type {
  BackingStore,
  Encryption,
  Feature,
  Timestamps,
  VolumeDefinition,
} from "../model/volume_definition.ts";

// What is found of a volume in a directory: what the kernel says of its file, which no two volumes share, and
// what its first bytes say, which is the same for many.

/** What a file is, besides what the kernel says of it. */
export interface FoundImage {
  readonly type: "file" | "dir";
  readonly format: string;
  /** Bytes that a guest sees, as a header says it; undefined: the size of the file. */
  readonly capacity: bigint | undefined;
  /** Bytes that an encryption header takes away from the size of the file. */
  readonly encryptionHeader: bigint;
  /** Of a device: where it ends. */
  readonly end: bigint | undefined;
  readonly clusterSize: bigint;
  readonly compat: string | undefined;
  readonly features: readonly Feature[] | undefined;
  /** Format of the encryption. */
  readonly encryption: string | undefined;
  readonly backing: BackingStore | undefined;
}

/** A volume that was found. */
export interface FoundVolume {
  readonly facts: FileFacts;
  readonly image: FoundImage;
  readonly label: string | undefined;
  /** Whether an upload to it, or its wiping, did not come to its end. */
  readonly interrupted: boolean;
}

/** Bytes of a block as the kernel counts them. */
const BLOCK = 512n;

/** Who may use a file. */
export function permissionsOf(facts: FileFacts, label: string | undefined): Permissions {
  return { mode: facts.mode & 0o777, owner: facts.uid, group: facts.gid, label };
}

/** When it was touched. */
export function timestampsOf({ accessed, modified, changed, born }: FileFacts): Timestamps {
  return { access: accessed, modification: modified, change: changed, birth: born };
}

/** Sizes of a volume. */
export function sizesOf(
  { size, blocks }: FileFacts,
  image: Pick<FoundImage, "type" | "capacity" | "encryptionHeader" | "end">,
): Pick<VolumeDefinition, "capacity" | "allocation" | "physical"> {
  if (image.type === "dir") return { capacity: 0n, allocation: 0n, physical: 0n };
  const physical = image.end ?? BigInt(size);
  const capacity = image.capacity ?? physical - image.encryptionHeader;
  return {
    capacity: capacity < 0n ? 0n : capacity,
    allocation: image.end ?? BigInt(blocks) * BLOCK,
    physical,
  };
}

/** The volume that was found, in a pool at this path. What only a definition says is not in it. */
export function volumeOf(
  name: string,
  directory: string,
  { facts, image, label, interrupted }: FoundVolume,
): VolumeDefinition {
  const path = `${directory}/${name}`;
  return {
    type: image.type,
    name,
    key: path,
    path,
    extents: [],
    allocationSaid: true,
    ...sizesOf(facts, image),
    format: image.format,
    permissions: permissionsOf(facts, label),
    timestamps: timestampsOf(facts),
    encryption: image.encryption === undefined ? undefined : foundEncryption(image.encryption),
    compat: image.compat,
    clusterSize: image.clusterSize,
    features: image.features,
    noCow: false,
    backing: image.backing,
    interrupted,
  };
}

function foundEncryption(format: string): Encryption {
  return { format, engine: undefined, secrets: [], cipher: undefined };
}
