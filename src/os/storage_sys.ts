import { cString } from "./c_string.ts";
import { EINTR, ENOSYS } from "./errno.ts";
import { type FileFacts, readFacts, STATX_MASK, STATX_SIZE } from "./file_facts.ts";
import { decodeText } from "./text.ts";

// What storage is made and read with, beside the surface that every daemon has: bound on first use, in the
// process that uses it. Every method returns a value >= 0, or -errno, as those of Sys do.

/** How full a file system is, in bytes. */
export interface FileSystemSpace {
  readonly capacity: bigint;
  readonly free: bigint;
}

/**
 * Files as storage needs them. Sizes, lengths and positions are in bytes. A descriptor that is given stays
 * the caller's.
 */
export interface StorageSys {
  /** Follows a symbolic link at the end of the path. */
  facts(path: string): FileFacts | number;
  /** Of a symbolic link, not of what it points to. */
  linkFacts(path: string): FileFacts | number;
  /** Of an open file. */
  descriptorFacts(fd: number): FileFacts | number;
  /** As {@link descriptorFacts}, as the bytes that {@link readFacts} reads; `into` has {@link STATX_SIZE}. */
  rawFacts(fd: number, into: Uint8Array): number;
  /**
   * openat(2) of a file in a directory that is open; the caller closes it. `name`: bytes that end with a NUL.
   */
  openIn(directory: number, name: Uint8Array, flags: number): number;
  /** getdents64(2): bytes that were filled, 0 at the end of the directory. */
  directoryEntries(fd: number, into: Uint8Array): number;
  /** pread(2), cheaper than that of Sys where it is called again and again. `position` below 2^31. */
  readAt(fd: number, into: Uint8Array, position: number): number;
  /** Of the file system that a path is on. statvfs(3). */
  space(path: string): FileSystemSpace | number;
  /** The number of the type of file system that a file is on (`f_type` of statfs(2)). */
  fileSystem(fd: number): number;
  /** fallocate(2). `mode` 0: allocates; others are FALLOC_FL_*. */
  allocate(fd: number, mode: number, offset: number, length: number): number;
  /** fchown(2); -1 leaves user or group as it is. */
  changeOwner(fd: number, uid: number, gid: number): number;
  /** symlink(2). */
  makeLink(target: string, path: string): number;
  /** rmdir(2). */
  removeDirectory(path: string): number;
  /** rename(2) that fails with EEXIST where there is something already. */
  renameNew(from: string, to: string): number;
  /** A second name of a file; fails with EEXIST where there is something already. */
  hardLink(from: string, to: string): number;
  /** Where the file offset is then. `whence`: 0 from the start, 1 here, 2 the end, 3 data, 4 hole. */
  seek(fd: number, offset: number, whence: number): number;
  /** copy_file_range(2) at both file offsets: how many bytes were copied. */
  copyRange(from: number, to: number, length: number): number;
  /** Makes one file share another one's blocks (FICLONE). */
  cloneFile(from: number, to: number): number;
  /** The flags of chattr(1) (FS_IOC_GETFLAGS). */
  attributes(fd: number): number;
  /** The same flags, all of them (FS_IOC_SETFLAGS). */
  setAttributes(fd: number, attributes: number): number;
  /** fdatasync(2). */
  syncData(fd: number): number;
  /** Writes a piece of a file to its storage and waits, but not for what the file system keeps about it. */
  syncRange(fd: number, offset: number, length: number): number;
  /** An extended attribute's text without NULs at its end, or -errno. */
  extendedAttribute(fd: number, name: string): string | number;
  /** How many bytes an extended attribute has, or -errno. */
  extendedAttributeSize(fd: number, name: string): number;
  /** Gives a file an extended attribute without a value. */
  setExtendedAttribute(fd: number, name: string): number;
  /** Takes it away; -ENODATA where there is none. */
  removeExtendedAttribute(fd: number, name: string): number;
  /** sendfile(2) from the file offset: how many bytes were sent. */
  sendFile(to: number, from: number, length: number): number;
}

const SIGNATURES = {
  statx: { parameters: ["i32", "buffer", "i32", "u32", "buffer"], result: "i32" },
  statvfs: { name: "statvfs64", parameters: ["buffer", "buffer"], result: "i32" },
  openat: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  getdents64: { parameters: ["i32", "buffer", "u32"], result: "i32", optional: true },
  pread: { name: "pread64", parameters: ["i32", "buffer", "u32", "i64"], result: "i32" },
  fstatfs: { parameters: ["i32", "buffer"], result: "i32" },
  fallocate: { name: "fallocate64", parameters: ["i32", "i32", "i64", "i64"], result: "i32" },
  fchown: { parameters: ["i32", "i32", "i32"], result: "i32" },
  symlink: { parameters: ["buffer", "buffer"], result: "i32" },
  rmdir: { parameters: ["buffer"], result: "i32" },
  renameat2: { parameters: ["i32", "buffer", "i32", "buffer", "u32"], result: "i32" },
  link: { parameters: ["buffer", "buffer"], result: "i32" },
  lseek: { name: "lseek64", parameters: ["i32", "i64", "i32"], result: "i64" },
  copy_file_range: {
    parameters: ["i32", "pointer", "i32", "pointer", "usize", "u32"],
    result: "i64",
  },
  ioctlInt: { name: "ioctl", parameters: ["i32", "u64", "i32"], result: "i32" },
  ioctlBuffer: { name: "ioctl", parameters: ["i32", "u64", "buffer"], result: "i32" },
  fdatasync: { parameters: ["i32"], result: "i32" },
  sync_file_range: { parameters: ["i32", "i64", "i64", "u32"], result: "i32" },
  fgetxattr: { parameters: ["i32", "buffer", "buffer", "usize"], result: "i64" },
  fsetxattr: { parameters: ["i32", "buffer", "buffer", "usize", "i32"], result: "i32" },
  fremovexattr: { parameters: ["i32", "buffer"], result: "i32" },
  sendfile: { name: "sendfile64", parameters: ["i32", "i32", "pointer", "usize"], result: "i64" },
} as const satisfies Deno.ForeignLibraryInterface;

type Functions = Deno.StaticForeignLibraryInterface<typeof SIGNATURES>;

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const RENAME_NOREPLACE = 1;
const FICLONE = 0x4004_9409n;
const FS_IOC_GETFLAGS = 0x8008_6601n;
const FS_IOC_SETFLAGS = 0x4008_6602n;
const ATTRIBUTE_SIZE = 4096;
/** SYNC_FILE_RANGE_WAIT_BEFORE, _WRITE and _WAIT_AFTER. */
const WRITE_AND_WAIT = 7;

/** The functions, bound when the first of them is called, with errno as a live view of this thread's. */
function bind(): { c: Functions; errno: Int32Array } {
  const location = Deno.dlopen("libc.so.6", {
    __errno_location: { parameters: [], result: "pointer" },
  }).symbols.__errno_location();
  if (location === null) throw new TypeError("Open libc: __errno_location returned null");
  return {
    c: Deno.dlopen("libc.so.6", SIGNATURES).symbols,
    errno: new Int32Array(Deno.UnsafePointerView.getArrayBuffer(location, 4)),
  };
}

/** The real kernel's storage. */
export function storageSys(): StorageSys {
  return new LinuxStorage();
}

class LinuxStorage implements StorageSys {
  #bound: { c: Functions; errno: Int32Array } | undefined;
  readonly #statx = new Uint8Array(STATX_SIZE);
  readonly #view = new DataView(this.#statx.buffer);
  readonly #empty = new Uint8Array(1);
  /** Of extended attributes that are asked for again and again. */
  readonly #names = new Map<string, Uint8Array<ArrayBuffer>>();

  get #c(): Functions {
    return (this.#bound ??= bind()).c;
  }

  /** Calls again while a signal interrupts. */
  #call(call: (c: Functions) => number | bigint): number {
    const c = this.#c;
    const errno = this.#bound?.errno as Int32Array;
    for (;;) {
      const result = call(c);
      const error = errno[0] as number;
      if (result >= 0) return Number(result);
      if (error !== EINTR) return -error;
    }
  }

  #path(path: string, call: (c: Functions, path: Uint8Array<ArrayBuffer>) => number | bigint): number {
    const bytes = cString(path) as Uint8Array<ArrayBuffer>;
    return this.#call((c) => call(c, bytes));
  }

  facts(path: string): FileFacts | number {
    return this.#facts(AT_FDCWD, cString(path) as Uint8Array<ArrayBuffer>, 0);
  }

  linkFacts(path: string): FileFacts | number {
    return this.#facts(AT_FDCWD, cString(path) as Uint8Array<ArrayBuffer>, AT_SYMLINK_NOFOLLOW);
  }

  descriptorFacts(fd: number): FileFacts | number {
    return this.#facts(fd, this.#empty, AT_EMPTY_PATH);
  }

  #facts(directory: number, path: Uint8Array<ArrayBuffer>, flags: number): FileFacts | number {
    const result = this.#call((c) => c.statx(directory, path, flags, STATX_MASK, this.#statx));
    return result < 0 ? result : readFacts(this.#view, 0);
  }

  rawFacts(fd: number, into: Uint8Array): number {
    const bytes = into as Uint8Array<ArrayBuffer>;
    return this.#call((c) => c.statx(fd, this.#empty, AT_EMPTY_PATH, STATX_MASK, bytes));
  }

  openIn(directory: number, name: Uint8Array, flags: number): number {
    return this.#call((c) => c.openat(directory, name as Uint8Array<ArrayBuffer>, flags));
  }

  directoryEntries(fd: number, into: Uint8Array): number {
    const bytes = into as Uint8Array<ArrayBuffer>;
    const read = this.#c.getdents64;
    return read === null ? -ENOSYS : this.#call(() => read(fd, bytes, bytes.length));
  }

  readAt(fd: number, into: Uint8Array, position: number): number {
    const bytes = into as Uint8Array<ArrayBuffer>;
    return this.#call((c) => c.pread(fd, bytes, bytes.length, BigInt(position)));
  }

  /** Of the file system that a path is on. statvfs(3). */
  space(path: string): FileSystemSpace | number {
    const buffer = new Uint8Array(128);
    const result = this.#path(path, (c, bytes) => c.statvfs(bytes, buffer));
    if (result < 0) return result;
    const view = new DataView(buffer.buffer);
    const long = (at: number) => view.getBigUint64(at, true);
    return { capacity: long(8) * long(16), free: long(8) * long(24) };
  }

  fileSystem(fd: number): number {
    const buffer = new Uint8Array(128);
    const result = this.#call((c) => c.fstatfs(fd, buffer));
    return result < 0 ? result : new DataView(buffer.buffer).getUint32(0, true);
  }

  allocate(fd: number, mode: number, offset: number, length: number): number {
    return this.#call((c) => c.fallocate(fd, mode, BigInt(offset), BigInt(length)));
  }

  changeOwner(fd: number, uid: number, gid: number): number {
    return this.#call((c) => c.fchown(fd, uid | 0, gid | 0));
  }

  /** symlink(2). */
  makeLink(target: string, path: string): number {
    const bytes = cString(target) as Uint8Array<ArrayBuffer>;
    return this.#path(path, (c, place) => c.symlink(bytes, place));
  }

  /** rmdir(2). */
  removeDirectory(path: string): number {
    return this.#path(path, (c, bytes) => c.rmdir(bytes));
  }

  renameNew(from: string, to: string): number {
    const target = cString(to) as Uint8Array<ArrayBuffer>;
    return this.#path(
      from,
      (c, bytes) => c.renameat2(AT_FDCWD, bytes, AT_FDCWD, target, RENAME_NOREPLACE),
    );
  }

  hardLink(from: string, to: string): number {
    const target = cString(to) as Uint8Array<ArrayBuffer>;
    return this.#path(from, (c, bytes) => c.link(bytes, target));
  }

  seek(fd: number, offset: number, whence: number): number {
    return this.#call((c) => c.lseek(fd, BigInt(offset), whence));
  }

  copyRange(from: number, to: number, length: number): number {
    return this.#call((c) => c.copy_file_range(from, null, to, null, BigInt(length), 0));
  }

  cloneFile(from: number, to: number): number {
    return this.#call((c) => c.ioctlInt(to, FICLONE, from));
  }

  attributes(fd: number): number {
    const buffer = new Uint8Array(8);
    const result = this.#call((c) => c.ioctlBuffer(fd, FS_IOC_GETFLAGS, buffer));
    return result < 0 ? result : new DataView(buffer.buffer).getUint32(0, true);
  }

  /** The same flags, all of them (FS_IOC_SETFLAGS). */
  setAttributes(fd: number, attributes: number): number {
    const buffer = new Uint8Array(8);
    new DataView(buffer.buffer).setUint32(0, attributes, true);
    return this.#call((c) => c.ioctlBuffer(fd, FS_IOC_SETFLAGS, buffer));
  }

  /** fdatasync(2). */
  syncData(fd: number): number {
    return this.#call((c) => c.fdatasync(fd));
  }

  syncRange(fd: number, offset: number, length: number): number {
    return this.#call((c) => c.sync_file_range(fd, BigInt(offset), BigInt(length), WRITE_AND_WAIT));
  }

  extendedAttribute(fd: number, name: string): string | number {
    const buffer = new Uint8Array(ATTRIBUTE_SIZE);
    const length = this.#path(
      name,
      (c, bytes) => c.fgetxattr(fd, bytes, buffer, BigInt(buffer.length)),
    );
    if (length < 0) return length;
    const end = buffer.indexOf(0);
    return decodeText(buffer, 0, end >= 0 && end < length ? end : length);
  }

  extendedAttributeSize(fd: number, name: string): number {
    let bytes = this.#names.get(name);
    if (bytes === undefined) this.#names.set(name, bytes = cString(name) as Uint8Array<ArrayBuffer>);
    const nul = bytes;
    return this.#call((c) => c.fgetxattr(fd, nul, this.#empty, 0n));
  }

  setExtendedAttribute(fd: number, name: string): number {
    return this.#path(name, (c, bytes) => c.fsetxattr(fd, bytes, this.#empty, 0n, 0));
  }

  /** Takes it away; -ENODATA where there is none. */
  removeExtendedAttribute(fd: number, name: string): number {
    return this.#path(name, (c, bytes) => c.fremovexattr(fd, bytes));
  }

  sendFile(to: number, from: number, length: number): number {
    return this.#call((c) => c.sendfile(to, from, null, BigInt(length)));
  }
}
