import { O_CLOEXEC, O_RDONLY } from "./constants.ts";
import type { FileSys } from "./sys.ts";
import { EFBIG } from "./errno.ts";
import { must, SystemError } from "./system_error.ts";
import { decodeText } from "./text.ts";

// Reading files at once. Those of /proc have no size, and must be read to their end.

type ReadSys = Pick<FileSys, "open" | "read" | "close">;

/** Bytes to begin with; twice as many when that is too little. */
const CHUNK = 65536;

/**
 * Reads a whole file.
 *
 * @param flags more flags for open(2): O_NOFOLLOW refuses a symbolic link with ELOOP
 * @param limit bytes; a file that has more is refused with EFBIG, for some have no end
 * @throws SystemError
 */
export function readWhole(
  sys: ReadSys,
  path: string,
  flags = 0,
  limit = Infinity,
): Uint8Array {
  const fd = must(sys.open(path, O_RDONLY | O_CLOEXEC | flags, 0), "open", path);
  try {
    let bytes = new Uint8Array(CHUNK);
    let length = 0;
    for (;;) {
      const count = must(sys.read(fd, bytes.subarray(length)), "read", path);
      if (count === 0) return bytes.subarray(0, length);
      length += count;
      if (length > limit) throw new SystemError("read", path, -EFBIG);
      if (length === bytes.length) {
        const larger = new Uint8Array(bytes.length * 2);
        larger.set(bytes);
        bytes = larger;
      }
    }
  } finally {
    sys.close(fd);
  }
}

/**
 * A list of /proc whose entries end with a NUL each: a command line or an environment.
 *
 * @throws SystemError
 */
export function readList(sys: ReadSys, path: string): string[] {
  const text = decodeText(readWhole(sys, path));
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
}

/**
 * The whole text of an open file from its beginning on, however often: for files of /proc that change.
 *
 * @returns the text, or -errno
 */
export function readText(sys: Pick<FileSys, "pread">, fd: number): string | number {
  let bytes = new Uint8Array(CHUNK);
  let length = 0;
  for (;;) {
    const count = sys.pread(fd, bytes.subarray(length), length);
    if (count < 0) return count;
    if (count === 0) return decodeText(bytes, 0, length);
    length += count;
    if (length < bytes.length) continue;
    const larger = new Uint8Array(bytes.length * 2);
    larger.set(bytes);
    bytes = larger;
  }
}

/** The whole text of a file; undefined when it cannot be read. */
export function readFileText(
  sys: Pick<FileSys, "open" | "pread" | "close">,
  path: string,
): string | undefined {
  const fd = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return undefined;
  const text = readText(sys, fd);
  sys.close(fd);
  return typeof text === "number" ? undefined : text;
}

/**
 * First 4 KiB of a file as Latin-1 text, or -errno: a file of a process that has ended gives -ENOENT or
 * -ESRCH.
 */
export function readStart(sys: ReadSys, path: string): string | number {
  const fd = sys.open(path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const bytes = new Uint8Array(4096);
  const length = sys.read(fd, bytes);
  sys.close(fd);
  return length < 0 ? length : String.fromCharCode(...bytes.subarray(0, length));
}

/** First 4 KiB of a file as Latin-1 text; undefined when it cannot be read, for whatever reason. */
export function readSmallFile(
  sys: ReadSys,
  path: string,
): string | undefined {
  const text = readStart(sys, path);
  return typeof text === "string" ? text : undefined;
}
