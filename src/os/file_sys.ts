import {
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_SETLEASE,
  F_SETLK,
  O_CLOEXEC,
  O_DIRECTORY,
  O_RDONLY,
} from "./constants.ts";
import { PATH_MAX } from "./c_string.ts";
import { EINTR, ENAMETOOLONG, ENOSYS } from "./errno.ts";
import type { Libc } from "./libc.ts";
import type { FileStatus, FileSys } from "./sys.ts";
import { decodeText, encodeTextInto } from "./text.ts";

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_SIZE = 256;
const FLOCK_SIZE = 32;

/** Builds the file part of the kernel surface. */
export function fileSys({ c, rare, errno }: Libc): FileSys {
  // One path buffer serves all calls: this thread makes them one after the other. +1 for the NUL of an
  // overlong path's check.
  const pathBytes = new Uint8Array(PATH_MAX * 3 + 4);
  const secondPath = new Uint8Array(PATH_MAX * 3 + 4);
  const emptyPath = new Uint8Array(1);
  // Most of what is asked is no link, three to six times for each lock: to make a buffer each time took as
  // long as the call.
  const linkTarget = new Uint8Array(PATH_MAX);
  const statx = new Uint8Array(STATX_SIZE);
  const statxView = new DataView(statx.buffer);
  const flock = new Uint8Array(FLOCK_SIZE);
  const flockView = new DataView(flock.buffer);

  /** Puts a path into a buffer; false when it is longer than the kernel takes. */
  function fill(path: string, into: Uint8Array): boolean {
    if (path.length >= PATH_MAX) return false;
    const length = encodeTextInto(path, into, 0);
    into[length] = 0;
    return length < PATH_MAX;
  }

  /** Calls again while a signal interrupts. */
  function path1(path: string, call: (path: Uint8Array) => number): number {
    if (!fill(path, pathBytes)) return -ENAMETOOLONG;
    for (;;) {
      const result = call(pathBytes);
      const error = errno[0] as number;
      if (result >= 0) return result;
      if (error !== EINTR) return -error;
    }
  }

  function status(directory: number, path: Uint8Array, flags: number, into: FileStatus): number {
    const result = c.statx(directory, path as Uint8Array<ArrayBuffer>, flags, STATX_BASIC_STATS, statx);
    const error = errno[0] as number;
    if (result < 0) return -error;
    into.links = statxView.getUint32(16, true);
    into.uid = statxView.getUint32(20, true);
    into.gid = statxView.getUint32(24, true);
    into.mode = statxView.getUint16(28, true);
    into.inodeLow = statxView.getUint32(32, true);
    into.inodeHigh = statxView.getUint32(36, true);
    into.size = statxView.getUint32(44, true) * 0x1_0000_0000 + statxView.getUint32(40, true);
    into.rdevMajor = statxView.getUint32(128, true);
    into.rdevMinor = statxView.getUint32(132, true);
    into.devMajor = statxView.getUint32(136, true);
    into.devMinor = statxView.getUint32(140, true);
    return 0;
  }

  function lock(fd: number, command: number, type: number, start: number, length: number): number {
    flockView.setInt16(0, type, true);
    flockView.setInt16(2, 0, true);
    flockView.setUint32(8, start >>> 0, true);
    flockView.setUint32(12, Math.floor(start / 0x1_0000_0000), true);
    flockView.setUint32(16, length >>> 0, true);
    flockView.setUint32(20, Math.floor(length / 0x1_0000_0000), true);
    flockView.setUint32(24, 0, true); // l_pid must be 0 for F_OFD_*
    for (;;) {
      const result = c.fcntlLock(fd, command, flock);
      const error = errno[0] as number;
      if (result >= 0) return 0;
      if (error !== EINTR) return -error;
    }
  }

  function transfer(call: () => number): number {
    for (;;) {
      const result = call();
      const error = errno[0] as number;
      if (result >= 0) return result;
      if (error !== EINTR) return -error;
    }
  }

  return {
    open: (path, flags, mode) => path1(path, (p) => c.open(p as Uint8Array<ArrayBuffer>, flags, mode)),
    close(fd) {
      const result = c.close(fd);
      const error = errno[0] as number;
      return result < 0 ? -error : 0;
    },
    read: (fd, into) => transfer(() => c.read(fd, into as Uint8Array<ArrayBuffer>, into.length)),
    pread: (fd, into, position) =>
      transfer(() => rare.pread64(fd, into as Uint8Array<ArrayBuffer>, into.length, BigInt(position))),
    write: (fd, bytes) => transfer(() => rare.write(fd, bytes as Uint8Array<ArrayBuffer>, bytes.length)),
    pwrite: (fd, bytes, position) =>
      transfer(() => rare.pwrite64(fd, bytes as Uint8Array<ArrayBuffer>, bytes.length, BigInt(position))),
    ftruncate: (fd, size) => transfer(() => rare.ftruncate64(fd, BigInt(size))),
    fsync: (fd) => transfer(() => rare.fsync(fd)),
    fchmod: (fd, mode) => transfer(() => rare.fchmod(fd, mode)),
    stat: (path, into) => fill(path, pathBytes) ? status(AT_FDCWD, pathBytes, 0, into) : -ENAMETOOLONG,
    lstat: (path, into) =>
      fill(path, pathBytes) ? status(AT_FDCWD, pathBytes, AT_SYMLINK_NOFOLLOW, into) : -ENAMETOOLONG,
    // What the kernel knows already: an open file on dead network storage must not stop the caller.
    fstat: (fd, into) => status(fd, emptyPath, AT_EMPTY_PATH | AT_STATX_DONT_SYNC, into),
    unlink: (path) => path1(path, (p) => c.unlink(p as Uint8Array<ArrayBuffer>)),
    lchown: (path, uid, gid) => path1(path, (p) => rare.lchown(p as Uint8Array<ArrayBuffer>, uid, gid)),
    rename(from, to) {
      if (!fill(to, secondPath)) return -ENAMETOOLONG;
      return path1(from, (p) => rare.rename(p as Uint8Array<ArrayBuffer>, secondPath));
    },
    mkdir: (path, mode) => path1(path, (p) => rare.mkdir(p as Uint8Array<ArrayBuffer>, mode)),
    chdir: (path) => path1(path, (p) => rare.chdir(p as Uint8Array<ArrayBuffer>)),
    access: (path, mode) => path1(path, (p) => rare.access(p as Uint8Array<ArrayBuffer>, mode)),
    readlink(path) {
      const length = path1(path, (p) => c.readlink(p as Uint8Array<ArrayBuffer>, linkTarget, PATH_MAX));
      return length < 0 ? length : decodeText(linkTarget, 0, length);
    },
    listDirectory(path) {
      const getdents = rare.getdents64;
      if (getdents === null) return -ENOSYS;
      const opened = path1(
        path,
        (p) => c.open(p as Uint8Array<ArrayBuffer>, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0),
      );
      if (opened < 0) return opened;
      const names: string[] = [];
      const buffer = new Uint8Array(32768);
      const view = new DataView(buffer.buffer);
      let failure = 0;
      for (;;) {
        const length = transfer(() => getdents(opened, buffer, buffer.length));
        if (length <= 0) {
          failure = length;
          break;
        }
        for (let at = 0; at < length;) {
          const end = buffer.indexOf(0, at + 19);
          const name = decodeText(buffer, at + 19, end);
          if (name !== "." && name !== "..") names.push(name);
          at += view.getUint16(at + 16, true);
        }
      }
      c.close(opened);
      return failure < 0 ? failure : names;
    },
    ofdLock: (fd, type, start, length) => lock(fd, F_OFD_SETLK, type, start, length),
    ofdProbe(fd, type, start, length, into) {
      const result = lock(fd, F_OFD_GETLK, type, start, length);
      if (result < 0) return result;
      into.type = flockView.getInt16(0, true);
      into.pid = flockView.getInt32(24, true);
      return 0;
    },
    posixLock: (fd, type, start, length) => lock(fd, F_SETLK, type, start, length),
    lease(fd, type) {
      const result = c.fcntlInt(fd, F_SETLEASE, type);
      const error = errno[0] as number;
      return result < 0 ? -error : 0;
    },
    fcntl(fd, command, value) {
      const result = c.fcntlInt(fd, command, value);
      const error = errno[0] as number;
      return result < 0 ? -error : result;
    },
    umask: (mask) => rare.umask(mask),
  };
}
