import { F_WRLCK, O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import { EAGAIN, EEXIST, EINVAL, ENOENT, ENOSYS } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import { storageError } from "../model/storage_error.ts";
import { failedCall, succeeded } from "./errors.ts";
import type { OpenPlace } from "./place.ts";

// A volume that is being made has a reserved name and a lock on it until it is whole: then it gets its own
// name in one step. What a crash leaves keeps the reserved name, and nobody holds its lock.

/** What making files needs of the kernel. */
export type NewFileSys = Pick<Sys, "open" | "close" | "unlink" | "ofdLock" | "fchmod" | "pollReadable">;

/** Where the lock is: far behind those that QEMU takes on its images. */
const LOCK_AT = 2 ** 62;
const LOCK_LENGTH = 1;
const PREFIX = ".virtstoraged-new-";
/** How long a refresh that has found a file before it was locked is waited for, in ms, and how often. */
const PAUSE_MS = 5;
const MOST_PAUSES = 200;
/** How often a file that such a refresh has removed is made again. */
const MOST_TRIES = 20;

/** Reserved name of a new volume. `host`: of whom made it, for storage that several hosts share. */
export function reservedName(host: string): string {
  return `${PREFIX}${host}-${crypto.randomUUID()}`;
}

/** Whether a name is that of a volume that somebody is making, or was. */
export function isReserved(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** A file under its reserved name. Whoever makes it publishes or discards it. */
export class NewFile {
  readonly #sys: NewFileSys;
  readonly #storage: StorageSys;
  readonly #place: OpenPlace;
  readonly #name: string;
  /** The file, open for reading and writing; closed by {@link publish} and {@link discard}. */
  readonly fd: number;

  /** @throws RpcFailure */
  constructor(sys: NewFileSys, storage: StorageSys, place: OpenPlace, name: string, shown: string) {
    this.#sys = sys;
    this.#storage = storage;
    this.#place = place;
    this.#name = name;
    this.fd = this.#create(shown);
  }

  #create(shown: string): number {
    for (let tries = 1;; tries++) {
      const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
      const fd = succeeded(this.#sys.open(this.path, flags, 0o600), `Failed to create file '${shown}'`);
      const locked = this.#lock(fd);
      if (locked >= 0) return fd;
      const removed = locked === -ENOENT;
      if (!removed) this.#sys.unlink(this.path);
      this.#sys.close(fd);
      if (!removed || tries === MOST_TRIES) throw failedCall(`Failed to lock file '${shown}'`, locked);
    }
  }

  /**
   * Locks the file. A refresh that has found it before that takes it for one that a crash has left: it has
   * the lock then, or had it, and removes the file.
   *
   * @returns 0 or -errno; ENOENT: it was removed
   */
  #lock(fd: number): number {
    for (let pauses = 0;; pauses++) {
      const locked = this.#sys.ofdLock(fd, F_WRLCK, LOCK_AT, LOCK_LENGTH);
      const named = namedAs(this.#storage, this.path, fd);
      if (named < 0) return named;
      if (locked !== -EAGAIN || pauses === MOST_PAUSES) return locked;
      this.#sys.pollReadable(-1, PAUSE_MS);
    }
  }

  /** For system calls of this process. */
  get path(): string {
    return this.#place.base + this.#name;
  }

  /** Whether the file is still under its name: a program may have put another one there. */
  get same(): boolean {
    return namedAs(this.#storage, this.path, this.fd) === 0;
  }

  /** Gives it its name, unless there is something of that name. @throws RpcFailure; it is discarded then */
  publish(name: string): void {
    try {
      publish(this.#sys, this.#storage, this.#place, this.#name, name);
    } catch (error) {
      this.discard();
      throw error;
    }
    this.#sys.close(this.fd);
  }

  /** Removes it. */
  discard(): void {
    this.#sys.unlink(this.path);
    this.#sys.close(this.fd);
  }
}

/** Whether an open file has this name. @returns 0, or -errno; ENOENT also where another one has it */
function namedAs(storage: StorageSys, path: string, fd: number): number {
  const named = storage.linkFacts(path);
  if (typeof named === "number") return named;
  const open = storage.descriptorFacts(fd);
  if (typeof open === "number") return open;
  return named.inode === open.inode && named.device === open.device ? 0 : -ENOENT;
}

/**
 * Gives something with a reserved name its own, unless there is something of that name. Where the file system
 * cannot do that in one step a second name is made, which fails in the same way, and the first one removed.
 *
 * @throws RpcFailure
 */
export function publish(
  sys: Pick<NewFileSys, "unlink">,
  storage: StorageSys,
  place: OpenPlace,
  from: string,
  name: string,
): void {
  const target = `${place.path}/${name}`;
  let result = storage.renameNew(place.base + from, place.base + name);
  if (result === -EINVAL || result === -ENOSYS) {
    result = storage.hardLink(place.base + from, place.base + name);
    if (result >= 0) sys.unlink(place.base + from);
  }
  if (result === -EEXIST) throw targetExists(target);
  succeeded(result, `Failed to create file '${target}'`);
}

/** Refusal of a name that is taken. */
export function targetExists(path: string): Error {
  return storageError("invalid", `volume target path '${path}' already exists`);
}

/**
 * Removes what a crash has left: files with this host's reserved name that nobody has locked.
 *
 * @returns their names
 */
export function removeLeft(
  sys: NewFileSys,
  storage: StorageSys,
  place: OpenPlace,
  names: readonly string[],
  host: string,
): string[] {
  return names.filter((name) => name.startsWith(`${PREFIX}${host}-`)).filter((name) => {
    const fd = sys.open(place.base + name, O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (fd < 0) return false;
    const mine = sys.ofdLock(fd, F_WRLCK, LOCK_AT, LOCK_LENGTH) >= 0;
    // Another refresh may have removed it, and its maker has made another one of the same name.
    const named = mine && namedAs(storage, place.base + name, fd) === 0;
    const removed = named && sys.unlink(place.base + name) >= 0;
    sys.close(fd);
    return removed;
  });
}
