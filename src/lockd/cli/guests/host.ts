import {
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDONLY,
  S_IFBLK,
  S_IFDIR,
  S_IFMT,
  SOCK_DGRAM,
} from "../../../os/constants.ts";
import { ECONNREFUSED, ENOENT, ENOTDIR } from "../../../os/errno.ts";
import { type DeviceIdentity, deviceIdentity } from "../../cluster/keys/device_identity.ts";
import { wrongWithProgram } from "../../cluster/fencing/fence_program.ts";
import { adoptionText, checkDirectory } from "../../lockspace/directory_check.ts";
import { identityOf, procLockText } from "../../lockspace/file_identity.ts";
import { emptyStatus, type FileSys, type ProcessSys, type SocketSys } from "../../../os/sys.ts";
import { decodeText } from "../../../os/text.ts";
import type { LibvirtPlaces } from "./libvirt_places.ts";

type HostSys =
  & Pick<
    FileSys,
    "open" | "close" | "read" | "pread" | "fstat" | "stat" | "lstat" | "access" | "readlink" | "listDirectory"
  >
  & Pick<SocketSys, "socket" | "connect">
  & Pick<ProcessSys, "uid">;

/** Longer files are read in part: none that a check reads has to be. */
const LONGEST = 16 * 1024 * 1024;
const WRITABLE = 2;

/** The host's files, below a root that tests replace. What is not there, or not readable, is undefined. */
export class Host {
  readonly places: LibvirtPlaces;
  readonly #sys: HostSys;
  readonly #root: string;
  readonly #isSilent: (path: string) => boolean;

  /**
   * @param root put before every path; "" for the host as it is
   * @param isSilent whether a path is on storage that does not answer: it counts as not readable, and is not
   *   looked at
   */
  constructor(
    sys: HostSys,
    root: string,
    places: LibvirtPlaces,
    isSilent: (path: string) => boolean = () => false,
  ) {
    this.#sys = sys;
    this.#root = root;
    this.#isSilent = isSilent;
    this.places = places;
  }

  /** Whether whoever looks is root, for whom permissions are never in the way. */
  get isRoots(): boolean {
    return this.#sys.uid() === 0;
  }

  /** Whether the storage of a path answers. */
  answers(path: string): boolean {
    return !this.#isSilent(path);
  }

  /** A file's content; undefined when it cannot be read, or its storage does not answer. */
  read(path: string): string | undefined {
    return this.#read(path, false);
  }

  /** The last part of a file that may be long; its first line may be cut. */
  tail(path: string, bytes: number): string | undefined {
    return this.#read(path, true, bytes);
  }

  /** Names in a directory, sorted. */
  list(path: string): string[] {
    if (this.#isSilent(path)) return [];
    const names = this.#sys.listDirectory(this.#root + path);
    return typeof names === "number" ? [] : names.sort();
  }

  /** Target of a symbolic link. */
  link(path: string): string | undefined {
    const target = this.#sys.readlink(this.#root + path);
    return typeof target === "string" ? target : undefined;
  }

  /** What is at a path. */
  kind(path: string): "directory" | "other" | undefined {
    const status = emptyStatus();
    if (this.#isSilent(path) || this.#sys.stat(this.#root + path, status) < 0) return undefined;
    return (status.mode & S_IFMT) === S_IFDIR ? "directory" : "other";
  }

  /** Which file is at a path, as /proc/locks names it; "none" where there is none. */
  identity(path: string): string | undefined {
    if (this.#isSilent(path)) return undefined;
    const status = emptyStatus();
    const result = this.#sys.stat(this.#root + path, status);
    if (result === -ENOENT || result === -ENOTDIR) return "none";
    return result < 0 ? undefined : procLockText(identityOf(status));
  }

  /** What the block device at a path is to all hosts; undefined where there is none. */
  device(path: string): DeviceIdentity | undefined {
    const status = emptyStatus();
    if (this.#isSilent(path) || this.#sys.stat(this.#root + path, status) < 0) return undefined;
    if ((status.mode & S_IFMT) !== S_IFBLK) return undefined;
    const sys = {
      open: (name: string, flags: number, mode: number) => this.#sys.open(this.#root + name, flags, mode),
      read: (fd: number, into: Uint8Array) => this.#sys.read(fd, into),
      close: (fd: number) => this.#sys.close(fd),
    };
    return deviceIdentity(sys, status.rdevMajor, status.rdevMinor);
  }

  /** Why the daemon of this user would not take a directory that nobody has registered for locks. */
  unfitForLocks(path: string): string | undefined {
    if (this.#isSilent(path)) return undefined;
    const failure = checkDirectory(this.#below, path);
    return failure === undefined ? undefined : adoptionText(failure) ?? `${path} is not there`;
  }

  /** Why the program at a path cannot be relied upon to fence a host. */
  unfitForFencing(path: string): string | undefined {
    return this.#isSilent(path) ? undefined : wrongWithProgram(this.#below, path);
  }

  /** What is below the root. */
  get #below(): Parameters<typeof checkDirectory>[0] {
    return {
      lstat: (name, into) => this.#sys.lstat(this.#root + name, into),
      readlink: (name) => this.#sys.readlink(this.#root + name),
      uid: () => this.#sys.uid(),
    };
  }

  /** Whether this user can write there; for root only a read-only file system is in the way. */
  writable(path: string): boolean {
    return !this.#isSilent(path) && this.#sys.access(this.#root + path, WRITABLE) === 0;
  }

  /**
   * Whether nobody listens at a socket that is there. Who listens is not bothered: to a datagram socket the
   * kernel says that it is of another kind, and connects nothing.
   */
  isAbandoned(path: string): boolean {
    if (this.#isSilent(path)) return false;
    const fd = this.#sys.socket(SOCK_DGRAM, false);
    if (fd < 0) return false;
    const connected = this.#sys.connect(fd, this.#root + path);
    this.#sys.close(fd);
    return connected === -ECONNREFUSED;
  }

  #read(path: string, fromEnd: boolean, most = LONGEST): string | undefined {
    if (this.#isSilent(path)) return undefined;
    const flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    const fd = this.#sys.open(this.#root + path, flags, 0);
    if (fd < 0) return undefined;
    try {
      const status = emptyStatus();
      if (this.#sys.fstat(fd, status) < 0) return undefined;
      let at = fromEnd ? Math.max(0, status.size - most) : 0;
      const chunks: string[] = [];
      const buffer = new Uint8Array(65536);
      // The size of a file in /proc is 0: read to the end instead.
      for (let left = most; left > 0;) {
        const count = this.#sys.pread(fd, buffer.subarray(0, Math.min(left, buffer.length)), at);
        if (count < 0) return undefined;
        if (count === 0) break;
        chunks.push(decodeText(buffer, 0, count));
        at += count;
        left -= count;
      }
      return chunks.join("");
    } finally {
      this.#sys.close(fd);
    }
  }
}
