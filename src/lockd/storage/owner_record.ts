import {
  O_CLOEXEC,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  S_IFMT,
  S_IFREG,
} from "../../os/constants.ts";
import { oneLine } from "../../base/one_line.ts";
import { hostName } from "../../os/host_facts.ts";
import { emptyStatus, type FileSys } from "../../os/sys.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import { type FileIdentity, identityOf, sameFile } from "../lockspace/file_identity.ts";

// A lock file on network storage says in one line who holds it, because the kernel cannot tell for another
// host. It is a hint for people: the lock itself is what counts.

/** How a record begins. A file that begins otherwise is not written. */
const MAGIC = "virtlockd-owner: ";
/** A record is not longer, in bytes. */
const LIMIT = 1024;

type RecordSys = Pick<
  FileSys,
  "open" | "close" | "read" | "pread" | "pwrite" | "ftruncate" | "fsync" | "fstat"
>;

/**
 * Writes the owner record into a file that is locked exclusively, or, when there is none to write, removes an
 * old one: a host that crashed may have left it. A file with anything else in it stays as it is.
 *
 * @param text who holds it, on one line; undefined for a shared lock
 * @returns 0 or -errno
 */
export function settleRecord(sys: RecordSys, fd: number, text: string | undefined): number {
  const status = emptyStatus();
  const known = sys.fstat(fd, status);
  if (known < 0) return known;
  if ((status.mode & S_IFMT) !== S_IFREG) return 0;
  if (status.size > 0) {
    const old = readStart(sys, fd);
    if (typeof old === "number") return old;
    if (!old.startsWith(MAGIC)) return 0;
    const emptied = sys.ftruncate(fd, 0);
    if (emptied < 0) return emptied;
  }
  if (text === undefined) return 0;
  const name = hostName(sys);
  const host = name === "" ? "an unnamed host" : name;
  const written = sys.pwrite(fd, encodeText(`${MAGIC}${host}, ${text}\n`), 0);
  if (written < 0) return written;
  // Other hosts read it from the server, not from this one's cache.
  return sys.fsync(fd);
}

/** The record in a file that somebody else has locked; undefined when there is none or it cannot be read. */
export function readRecord(sys: RecordSys, path: string, identity: FileIdentity): string | undefined {
  const fd = sys.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW, 0);
  if (fd < 0) return undefined;
  const status = emptyStatus();
  let text: string | number = "";
  // A disk image is far larger, and what is in it is its guest's.
  if (sys.fstat(fd, status) === 0 && sameFile(identity, identityOf(status)) && status.size <= LIMIT) {
    text = readStart(sys, fd);
  }
  sys.close(fd);
  if (typeof text === "number" || !text.startsWith(MAGIC)) return undefined;
  const [line = ""] = text.slice(MAGIC.length).split("\n");
  return oneLine(line);
}

function readStart(sys: RecordSys, fd: number): string | number {
  const bytes = new Uint8Array(LIMIT);
  const length = sys.pread(fd, bytes, 0);
  return length < 0 ? length : decodeText(bytes, 0, length);
}
