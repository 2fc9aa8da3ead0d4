import {
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  S_IFBLK,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "../../os/constants.ts";
import { cString } from "../../os/c_string.ts";
import { EACCES, ELOOP, ENOENT, ENXIO, EPERM } from "../../os/errno.ts";
import { readFacts, readMode, readSize, STATX_SIZE } from "../../os/file_facts.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys } from "../../os/sys.ts";
import { decodeText } from "../../os/text.ts";
import type { Permissions } from "../model/pool_definition.ts";
import { FILE_FORMATS } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import type { BackingStore, VolumeDefinition } from "../model/volume_definition.ts";
import { failedCall } from "./errors.ts";
import { type FoundImage, permissionsOf, sizesOf, timestampsOf, volumeOf } from "./found_volume.ts";
import type { StatedBacking } from "./image_backing.ts";
import { type ImageFacts, probeFormat } from "./image_format.ts";
import { HEADER_SIZE } from "./image_header.ts";
import { ImageReader } from "./image_reader.ts";
import type { OpenPlace } from "./place.ts";
import { isMarked } from "./upload_mark.ts";

/** What reading volumes needs of the kernel. */
export type ReaderSys = Pick<FileSys, "open" | "close" | "access">;

const SELINUX = "/sys/fs/selinux/enforce";

const FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
const SEEK_END = 2;
/** What stands in the way of one file only: it is left out of the list. */
const PASSED_OVER = [-ENOENT, -ELOOP, -ENXIO, -EACCES, -EPERM];

/** A volume that was looked at. */
export interface SeenVolume {
  /** What the kernel says of it, for readFacts(); valid until the next one is looked at. */
  readonly facts: Uint8Array;
  /** The same object for volumes that have the same. */
  readonly image: FoundImage;
  readonly label: string | undefined;
  readonly interrupted: boolean;
}

/** Reads volumes of directories, with one buffer for all of them. */
export class VolumeReader {
  readonly #sys: ReaderSys;
  readonly #storage: StorageSys;
  readonly #images: ImageReader;
  readonly #facts = new Uint8Array(STATX_SIZE);
  readonly #view = new DataView(this.#facts.buffer);
  /** Whether files have labels: without SELinux nobody gives them any. */
  readonly #labelled: boolean;
  /** Whether what was opened last can only be seen, and not read. */
  #unread = false;
  /** What headers said, as it is found, by their facts: those are the same object for the same bytes. */
  readonly #found = new WeakMap<ImageFacts, FoundImage>();
  /** What many overlays stand on is looked at once. */
  readonly #backings = new Map<string, Omit<BackingStore, "path">>();

  constructor(sys: ReaderSys, storage: StorageSys) {
    this.#sys = sys;
    this.#storage = storage;
    this.#images = new ImageReader(storage);
    this.#labelled = sys.access(SELINUX, 0) === 0;
  }

  /**
   * A file as a volume.
   *
   * @returns undefined for what is no volume: sockets, FIFOs, character devices, dangling links, and what may
   *   not be read
   * @throws RpcFailure when it cannot be read
   */
  read(place: OpenPlace, name: string): VolumeDefinition | undefined {
    return this.#volume(place, name, this.look(place, cString(name)));
  }

  /** As {@link read}, of a file that is open: its name may be another one's by now. */
  readOpen(place: OpenPlace, name: string, fd: number): VolumeDefinition | undefined {
    const bytes = cString(name);
    this.#unread = false;
    this.#readFacts(fd, place, bytes);
    return this.#volume(place, name, this.#seen(fd, place, bytes));
  }

  /** What was seen last, as a volume. */
  #volume(place: OpenPlace, name: string, seen: SeenVolume | undefined): VolumeDefinition | undefined {
    if (seen === undefined) return undefined;
    const { image, label, interrupted } = seen;
    return volumeOf(name, place.path, { facts: readFacts(this.#view, 0), image, label, interrupted });
  }

  /**
   * As {@link read}, for many of them.
   *
   * @param name its bytes, and a NUL
   */
  look(place: OpenPlace, name: Uint8Array): SeenVolume | undefined {
    const fd = this.#open(place, name);
    if (fd < 0) {
      if (PASSED_OVER.includes(fd)) return undefined;
      throw failedCall(`cannot open volume '${pathOf(place, name)}'`, fd);
    }
    try {
      this.#readFacts(fd, place, name);
      return this.#seen(fd, place, name);
    } finally {
      this.#sys.close(fd);
    }
  }

  /**
   * Opens what is to be looked at. Where others may write, a link of theirs may lead to a device that does
   * something when it is opened: what is behind it is not opened then, only seen.
   *
   * @returns a descriptor, the caller's, or -errno
   */
  #open(place: OpenPlace, name: Uint8Array): number {
    this.#unread = false;
    if (place.links === "followed") return this.#storage.openIn(place.fd, name, FLAGS);
    const fd = this.#storage.openIn(place.fd, name, FLAGS | O_NOFOLLOW);
    if (fd !== -ELOOP) return fd;
    this.#unread = true;
    return this.#storage.openIn(place.fd, name, O_PATH | O_CLOEXEC);
  }

  #readFacts(fd: number, place: OpenPlace, name: Uint8Array): void {
    const result = this.#storage.rawFacts(fd, this.#facts);
    if (result < 0) throw failedCall(`cannot stat file '${pathOf(place, name)}'`, result);
  }

  #seen(fd: number, place: OpenPlace, name: Uint8Array): SeenVolume | undefined {
    const kind = readMode(this.#view) & S_IFMT;
    if (this.#unread && kind !== S_IFDIR) {
      return kind === S_IFREG
        ? { facts: this.#facts, image: UNREAD, label: undefined, interrupted: false }
        : undefined;
    }
    const label = this.#labelled ? labelOf(this.#storage, fd) : undefined;
    switch (kind) {
      case S_IFDIR:
        return { facts: this.#facts, image: DIRECTORY, label, interrupted: false };
      case S_IFREG: {
        const image = this.#image(fd, place, name, undefined);
        return { facts: this.#facts, image, label, interrupted: isMarked(this.#storage, fd) };
      }
      case S_IFBLK: {
        const image = { ...this.#image(fd, place, name, undefined), end: this.#end(fd, place, name) };
        return { facts: this.#facts, image, label, interrupted: false };
      }
      default:
        return undefined;
    }
  }

  /** @param format that it has; undefined: it is found out */
  #image(fd: number, place: OpenPlace, name: Uint8Array, format: string | undefined): FoundImage {
    // Devices tell no size.
    const size = (readMode(this.#view) & S_IFMT) === S_IFREG ? readSize(this.#view) : Infinity;
    const facts = this.#images.read(fd, size, format);
    if (typeof facts === "number") throw failedCall(`cannot read header '${pathOf(place, name)}'`, facts);
    const known = this.#found.get(facts);
    if (known !== undefined) return known;
    const backing = facts.backing === undefined ? undefined : this.#backing(place.path, facts.backing);
    const found: FoundImage = { ...facts, type: "file", end: undefined, backing };
    this.#found.set(facts, found);
    return found;
  }

  #end(fd: number, place: OpenPlace, name: Uint8Array): bigint {
    const end = this.#storage.seek(fd, 0, SEEK_END);
    if (end < 0) throw failedCall(`failed to seek to end of ${pathOf(place, name)}`, end);
    return BigInt(end);
  }

  #backing(directory: string, { path: stated, format }: StatedBacking): BackingStore {
    const local = localPath(directory, stated);
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
  #updatedBacking(directory: string, backing: BackingStore): BackingStore {
    const local = localPath(directory, backing.path);
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
    const length = regular ? this.#storage.readAt(fd, bytes, 0) : 0;
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
    const name = cString(file);
    const path = `${place.path}/${volume.name}`;
    const fd = this.#open(place, name);
    if (fd === -ENOENT) throw storageError("no-volume", `no storage vol with matching path '${path}'`);
    if (fd < 0) throw failedCall(`cannot open volume '${path}'`, fd);
    try {
      this.#readFacts(fd, place, name);
      const facts = readFacts(this.#view, 0);
      const permissions = permissionsOf(facts, this.#labelled ? labelOf(this.#storage, fd) : undefined);
      const timestamps = timestampsOf(facts);
      const kind = facts.mode & S_IFMT;
      if (kind === S_IFDIR) return { ...volume, ...sizesOf(facts, DIRECTORY), permissions, timestamps };
      const image = this.#unread ? UNREAD : this.#image(fd, place, name, volume.format);
      const end = kind === S_IFREG ? undefined : this.#end(fd, place, name);
      const { backing } = volume;
      return {
        ...volume,
        ...sizesOf(facts, { ...image, end }),
        permissions,
        timestamps,
        backing: backing === undefined ? undefined : this.#updatedBacking(place.path, backing),
        interrupted: isMarked(this.#storage, fd),
      };
    } finally {
      this.#sys.close(fd);
    }
  }
}

const DIRECTORY: FoundImage = {
  type: "dir",
  format: "dir",
  capacity: undefined,
  encryptionHeader: 0n,
  end: undefined,
  clusterSize: 0n,
  compat: undefined,
  features: undefined,
  encryption: undefined,
  backing: undefined,
};

/** A file whose header is nobody's business. */
const UNREAD: FoundImage = { ...DIRECTORY, type: "file", format: "raw" };

const NOBODY_KNOWS: Permissions = {
  mode: undefined,
  owner: undefined,
  group: undefined,
  label: undefined,
};

function isFormat(format: string): boolean {
  return format !== "none" && FILE_FORMATS.some((each) => each === format);
}

/** The label of a file that is open; undefined when it has none. */
export function labelOf(storage: StorageSys, fd: number): string | undefined {
  const label = storage.extendedAttribute(fd, "security.selinux");
  return typeof label === "number" ? undefined : label;
}

/** For messages. */
function pathOf(place: OpenPlace, name: Uint8Array): string {
  return `${place.path}/${decodeText(name, 0, name.length - 1)}`;
}

/**
 * The file that a header names; undefined when it is none: `nbd:...`, `json:...`, `http://...`. A relative
 * name is meant from the image's directory.
 */
function localPath(directory: string, stated: string): string | undefined {
  if (stated.startsWith("/")) return stated;
  if (/^[^/]*:/.test(stated)) return undefined;
  return `${directory}/${stated}`;
}
