import {
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "../../os/constants.ts";
import { EACCES, ELOOP, ENOENT, ENXIO, EPERM } from "../../os/errno.ts";
import type { FileFacts, StorageSys } from "../../os/storage_sys.ts";
import type { FileSys } from "../../os/sys.ts";
import type { Permissions } from "../model/pool_definition.ts";
import { FILE_FORMATS } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import type { BackingStore, Encryption, Timestamps, VolumeDefinition } from "../model/volume_definition.ts";
import { failedCall } from "./errors.ts";
import {
  FIRST_PIECE,
  HEADER_SIZE,
  isIsoMark,
  ISO_PIECE,
  probeFormat,
  readImage,
  type StatedBacking,
} from "./image_format.ts";
import type { OpenPlace } from "./place.ts";
import { isMarked } from "./upload_mark.ts";

/** What reading volumes needs of the kernel. */
export type ReaderSys = Pick<FileSys, "open" | "close" | "pread" | "access">;

const SELINUX = "/sys/fs/selinux/enforce";

const FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const SEEK_END = 2;
const BLOCK = 512;
/** What stands in the way of one file only: it is left out of the list. */
const PASSED_OVER = [-ENOENT, -ELOOP, -ENXIO, -EACCES, -EPERM];

/** Reads volumes of directories, with one buffer for all of them. */
export class VolumeReader {
  readonly #sys: ReaderSys;
  readonly #storage: StorageSys;
  readonly #buffer = new Uint8Array(HEADER_SIZE);
  readonly #mark = new Uint8Array(ISO_PIECE.length);
  /** Whether files have labels: without SELinux nobody gives them any. */
  readonly #labelled: boolean;
  /** What many overlays stand on is looked at once. */
  readonly #backings = new Map<string, Omit<BackingStore, "path">>();

  constructor(sys: ReaderSys, storage: StorageSys) {
    this.#sys = sys;
    this.#storage = storage;
    this.#labelled = sys.access(SELINUX, 0) === 0;
  }

  /**
   * A file as a volume.
   *
   * @returns undefined for what is no volume: sockets, FIFOs, dangling links, what may not be read
   * @throws RpcFailure when it cannot be read
   */
  read(place: OpenPlace, name: string): VolumeDefinition | undefined {
    const path = `${place.path}/${name}`;
    const fd = this.#sys.open(place.base + name, FLAGS, 0);
    if (PASSED_OVER.includes(fd)) return undefined;
    if (fd < 0) throw failedCall(`cannot open volume '${path}'`, fd);
    try {
      const facts = this.#storage.descriptorFacts(fd);
      if (typeof facts === "number") throw failedCall(`cannot stat file '${path}'`, facts);
      return this.#volume(fd, facts, name, path);
    } finally {
      this.#sys.close(fd);
    }
  }

  #volume(fd: number, facts: FileFacts, name: string, path: string): VolumeDefinition | undefined {
    const kind = facts.mode & S_IFMT;
    if (kind !== S_IFREG && kind !== S_IFDIR && kind !== S_IFBLK && kind !== S_IFCHR) return undefined;
    const plain = {
      name,
      key: path,
      path,
      extents: [],
      allocationSaid: true,
      permissions: this.#permissions(fd, facts),
      timestamps: timestampsOf(facts),
      noCow: false,
      interrupted: kind === S_IFREG && isMarked(this.#storage, fd),
    };
    const nothing = { encryption: undefined, compat: undefined, features: undefined, backing: undefined };
    if (kind === S_IFDIR) {
      const sizes = { capacity: 0n, allocation: 0n, physical: 0n, clusterSize: 0n };
      return { type: "dir", format: "dir", ...plain, ...nothing, ...sizes };
    }
    const sizes = this.#sizes(fd, facts, path);
    const image = readImage(this.#header(fd, path));
    const capacity = image.capacity ?? sizes.capacity - image.encryptionHeader;
    return {
      type: "file",
      format: image.format,
      ...plain,
      ...sizes,
      capacity: capacity < 0n ? 0n : capacity,
      clusterSize: image.clusterSize,
      compat: image.compat,
      features: image.features,
      encryption: image.encryption === undefined ? undefined : foundEncryption(image.encryption),
      backing: image.backing === undefined ? undefined : this.#backing(path, image.backing),
    };
  }

  #sizes(fd: number, facts: FileFacts, path: string) {
    if ((facts.mode & S_IFMT) === S_IFREG) {
      const size = BigInt(facts.size);
      return { capacity: size, allocation: BigInt(facts.blocks) * BigInt(BLOCK), physical: size };
    }
    const end = this.#storage.seek(fd, 0, SEEK_END);
    if (end < 0) throw failedCall(`failed to seek to end of ${path}`, end);
    return { capacity: BigInt(end), allocation: BigInt(end), physical: BigInt(end) };
  }

  /**
   * The first bytes, as many as tell what it is: most volumes are raw, and few bytes are needed to see that.
   */
  #header(fd: number, path: string): Uint8Array {
    const first = this.#read(fd, path, this.#buffer.subarray(0, FIRST_PIECE), 0);
    if (first < FIRST_PIECE) return this.#buffer.subarray(0, first);
    if (probeFormat(this.#buffer.subarray(0, first)) === "raw") {
      const mark = this.#read(fd, path, this.#mark, ISO_PIECE.position);
      if (!isIsoMark(this.#mark.subarray(0, mark))) return this.#buffer.subarray(0, first);
    }
    return this.#buffer.subarray(0, this.#read(fd, path, this.#buffer, 0));
  }

  #read(fd: number, path: string, into: Uint8Array, position: number): number {
    const length = this.#sys.pread(fd, into, position);
    if (length < 0) throw failedCall(`cannot read header '${path}'`, length);
    return length;
  }

  #permissions(fd: number, facts: FileFacts): Permissions {
    return permissionsOf(facts, this.#labelled ? labelOf(this.#storage, fd) : undefined);
  }

  #backing(path: string, { path: stated, format }: StatedBacking): BackingStore {
    const local = localPath(path, stated);
    if (local === undefined) {
      return { path: stated, format: "raw", permissions: NOBODY_KNOWS, timestamps: undefined };
    }
    const known = this.#backings.get(`${format}:${local}`);
    if (known !== undefined) return { path: local, ...known };
    const facts = this.#storage.facts(local);
    const found = {
      format: format !== undefined && isFormat(format) ? format : this.#probe(local),
      permissions: typeof facts === "number" ? NOBODY_KNOWS : permissionsOf(facts, undefined),
      timestamps: typeof facts === "number" ? undefined : timestampsOf(facts),
    };
    this.#backings.set(`${format}:${local}`, found);
    return { path: local, ...found };
  }

  /** What a volume stands on, as it is now; as it was where it cannot be seen. */
  #updatedBacking(image: string, backing: BackingStore): BackingStore {
    const local = localPath(image, backing.path);
    const facts = local === undefined ? undefined : this.#storage.facts(local);
    if (facts === undefined || typeof facts === "number") return backing;
    return { ...backing, permissions: permissionsOf(facts, undefined), timestamps: timestampsOf(facts) };
  }

  /**
   * The format of a file that a header names: a guest may have written that name, so no link is followed and
   * nothing but a regular file is read. What cannot be told is raw.
   */
  #probe(path: string): string {
    const fd = this.#sys.open(path, FLAGS | O_NOFOLLOW, 0);
    if (fd < 0) return "raw";
    const facts = this.#storage.descriptorFacts(fd);
    const regular = typeof facts !== "number" && (facts.mode & S_IFMT) === S_IFREG;
    const bytes = new Uint8Array(HEADER_SIZE);
    const length = regular ? this.#sys.pread(fd, bytes, 0) : 0;
    this.#sys.close(fd);
    return probeFormat(bytes.subarray(0, Math.max(length, 0)));
  }

  /**
   * A volume that is known already with what may have changed of it: sizes, access, times.
   *
   * @param file its name at this moment; that of a volume that is being made is another one
   * @throws RpcFailure when it is gone, or cannot be read
   */
  update(place: OpenPlace, volume: VolumeDefinition, file: string): VolumeDefinition {
    const path = `${place.path}/${volume.name}`;
    const fd = this.#sys.open(place.base + file, FLAGS, 0);
    if (fd === -ENOENT) throw storageError("no-volume", `no storage vol with matching path '${path}'`);
    if (fd < 0) throw failedCall(`cannot open volume '${path}'`, fd);
    try {
      const facts = this.#storage.descriptorFacts(fd);
      if (typeof facts === "number") throw failedCall(`cannot stat file '${path}'`, facts);
      const permissions = this.#permissions(fd, facts);
      const timestamps = timestampsOf(facts);
      if ((facts.mode & S_IFMT) === S_IFDIR) return { ...volume, permissions, timestamps };
      const sizes = this.#sizes(fd, facts, path);
      const image = readImage(this.#header(fd, path), volume.format);
      const capacity = image.capacity ?? sizes.capacity - image.encryptionHeader;
      const backing = volume.backing === undefined ? undefined : this.#updatedBacking(path, volume.backing);
      return {
        ...volume,
        ...sizes,
        capacity: capacity < 0n ? 0n : capacity,
        permissions,
        timestamps,
        backing,
        interrupted: isMarked(this.#storage, fd),
      };
    } finally {
      this.#sys.close(fd);
    }
  }
}

const NOBODY_KNOWS: Permissions = {
  mode: undefined,
  owner: undefined,
  group: undefined,
  label: undefined,
};

function foundEncryption(format: string): Encryption {
  return { format, engine: undefined, secrets: [], cipher: undefined };
}

function isFormat(format: string): boolean {
  return format !== "none" && FILE_FORMATS.some((each) => each === format);
}

/** The label of a file that is open; undefined when it has none. */
export function labelOf(storage: StorageSys, fd: number): string | undefined {
  const label = storage.extendedAttribute(fd, "security.selinux");
  return typeof label === "number" ? undefined : label;
}

/** Who may use a file. */
export function permissionsOf(facts: FileFacts, label: string | undefined): Permissions {
  return { mode: facts.mode & 0o777, owner: facts.uid, group: facts.gid, label };
}

function timestampsOf({ accessed, modified, changed, born }: FileFacts): Timestamps {
  return { access: accessed, modification: modified, change: changed, birth: born };
}

/**
 * The file that a header names; undefined when it is none: `nbd:...`, `json:...`, `http://...`. A relative
 * name is meant from the image's directory.
 */
function localPath(image: string, stated: string): string | undefined {
  if (stated.startsWith("/")) return stated;
  if (/^[^/]*:/.test(stated)) return undefined;
  return `${image.slice(0, image.lastIndexOf("/"))}/${stated}`;
}
