import {
  F_WRLCK,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOFOLLOW,
  O_RDONLY,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
} from "../../os/constants.ts";
import { EEXIST, ENOENT, ENOTDIR } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import { readText } from "../../os/read_file.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import { NO_SIZES, type PoolDefinition, type PoolSizes } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import { failedCommonCall } from "../volumes/errors.ts";
import { formatPool, formatPoolState } from "../xml/pool_xml.ts";

/** Where the files of pools are; those of libvirt's daemon. */
export interface PoolDirectories {
  /** Definitions. */
  readonly config: string;
  /** Links to the definitions of those that start with the host. */
  readonly autostart: string;
  /** What is up now, and the lock of whoever serves it. */
  readonly state: string;
}

/** A file with the text that it has. */
export interface PoolDocument {
  readonly path: string;
  /** Of the file, without its suffix. */
  readonly name: string;
  readonly text: string;
}

type FilesSys = Pick<
  FileSys,
  | "open"
  | "close"
  | "pread"
  | "write"
  | "pwrite"
  | "fsync"
  | "ftruncate"
  | "rename"
  | "unlink"
  | "mkdir"
  | "access"
  | "readlink"
  | "listDirectory"
  | "ofdLock"
>;

const SUFFIX = ".xml";
const WRITABLE = 2;

/**
 * The files of pools. A host can be moved from libvirt's daemon to this one and back: they are in the same
 * places, and say the same.
 *
 * The methods throw RpcFailure for what a client is told.
 */
export class PoolFiles {
  readonly #sys: FilesSys;
  readonly #storage: StorageSys;
  readonly #ledger: DescriptorLedger;
  readonly #directories: PoolDirectories;
  #lock: number | undefined;

  constructor(parts: {
    sys: FilesSys;
    storage: StorageSys;
    ledger: DescriptorLedger;
    directories: PoolDirectories;
  }) {
    this.#sys = parts.sys;
    this.#storage = parts.storage;
    this.#ledger = parts.ledger;
    this.#directories = parts.directories;
  }

  /**
   * Takes the lock that makes this the only daemon that serves these pools, if nobody has it.
   *
   * @returns undefined when it is there, or who has it
   * @throws RpcFailure when the file cannot be made
   */
  acquire(pid: number): string | undefined {
    if (this.#lock !== undefined) return undefined;
    const { state } = this.#directories;
    this.#makeDirectory(state);
    const path = `${state}/driver.pid`;
    const fd = this.#sys.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644);
    if (fd < 0) throw failedCommonCall(`Failed to open pid file '${path}'`, fd);
    if (this.#sys.ofdLock(fd, F_WRLCK, 0, 1) < 0) {
      const text = new Uint8Array(32);
      const length = Math.max(this.#sys.pread(fd, text, 0), 0);
      this.#sys.close(fd);
      return `process ${decodeText(text, 0, length).trim()}`;
    }
    this.#sys.ftruncate(fd, 0);
    this.#sys.pwrite(fd, encodeText(String(pid)), 0);
    this.#lock = this.#ledger.own(fd, "driver-lock");
    return undefined;
  }

  /** Gives the lock back. */
  release(): void {
    if (this.#lock === undefined) return;
    this.#sys.unlink(`${this.#directories.state}/driver.pid`);
    this.#ledger.close(this.#lock);
    this.#lock = undefined;
  }

  /** Whether pools are started with the host for the first time since it came up; from now on they were. */
  firstStart(): boolean {
    const path = `${this.#directories.state}/autostarted`;
    const fd = this.#sys.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600);
    if (fd >= 0) this.#sys.close(fd);
    return fd >= 0;
  }

  /** The definitions. What cannot be read is told to `unreadable`. */
  configs(unreadable: (error: SystemError) => void): readonly PoolDocument[] {
    return this.#documents(this.#directories.config, unreadable);
  }

  /** What was up when the daemon before this one ended. */
  states(unreadable: (error: SystemError) => void): readonly PoolDocument[] {
    return this.#documents(this.#directories.state, unreadable);
  }

  #documents(directory: string, unreadable: (error: SystemError) => void): PoolDocument[] {
    const names = this.#sys.listDirectory(directory);
    if (typeof names === "number") {
      if (names !== -ENOENT) unreadable(new SystemError("Read", directory, names));
      return [];
    }
    return names.filter((name) => name.endsWith(SUFFIX)).sort().flatMap((name) => {
      const path = `${directory}/${name}`;
      const text = this.#read(path);
      if (typeof text === "string") return [{ path, name: name.slice(0, -SUFFIX.length), text }];
      unreadable(new SystemError("Read", path, text));
      return [];
    });
  }

  #read(path: string): string | number {
    const fd = this.#sys.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return fd;
    const text = readText(this.#sys, fd);
    this.#sys.close(fd);
    return text;
  }

  /** Writes a definition. */
  saveConfig(definition: PoolDefinition): void {
    this.#makeDirectory(this.#directories.config);
    const text = explained(definition, formatPool(definition, NO_SIZES));
    this.#save(this.#configPath(definition.name), text);
  }

  /** Removes a definition, and its link. */
  removeConfig(name: string): void {
    if (this.#sys.unlink(this.#configPath(name)) < 0) {
      throw storageError("internal", `cannot remove config for ${name}`);
    }
    this.#sys.unlink(this.#linkPath(name));
  }

  /** Writes down that a pool is up. */
  saveState(definition: PoolDefinition, sizes: PoolSizes): void {
    const path = `${this.#directories.state}/${definition.name}${SUFFIX}`;
    this.#save(path, explained(definition, formatPoolState(definition, sizes)));
  }

  /** A pool is not up any more. */
  removeState(name: string): void {
    this.#sys.unlink(`${this.#directories.state}/${name}${SUFFIX}`);
  }

  /** Whether a pool starts with the host. */
  isAutostart(name: string): boolean {
    const target = this.#sys.readlink(this.#linkPath(name));
    return target === this.#configPath(name) || typeof target === "string" &&
        `${this.#directories.autostart}/${target}` === this.#configPath(name);
  }

  /** Says whether a pool starts with the host. */
  setAutostart(name: string, on: boolean): void {
    const path = this.#linkPath(name);
    if (!on) {
      const removed = this.#sys.unlink(path);
      if (removed >= 0 || removed === -ENOENT || removed === -ENOTDIR) return;
      throw failedCommonCall(`Failed to delete symlink '${path}'`, removed);
    }
    this.#makeDirectory(this.#directories.autostart);
    const target = this.#configPath(name);
    const made = this.#storage.makeLink(target, path);
    if (made < 0) throw failedCommonCall(`Failed to create symlink '${path}' to '${target}'`, made);
  }

  #configPath(name: string): string {
    return `${this.#directories.config}/${name}${SUFFIX}`;
  }

  #linkPath(name: string): string {
    return `${this.#directories.autostart}/${name}${SUFFIX}`;
  }

  #makeDirectory(path: string): void {
    if (this.#sys.access(path, WRITABLE) === 0) return;
    const parts = path.split("/").slice(1);
    let parent = "";
    for (const part of parts) {
      parent += `/${part}`;
      const made = this.#sys.mkdir(parent, 0o755);
      if (made < 0 && made !== -EEXIST) throw failedCommonCall(`cannot create directory ${path}`, made);
    }
  }

  /** A crash leaves the old file or the new one. */
  #save(path: string, text: string): void {
    const beside = `${path}.new`;
    const fd = this.#sys.open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600);
    if (fd < 0) throw failedCommonCall(`cannot create file '${beside}'`, fd);
    const bytes = encodeText(text);
    let result = 0;
    for (let written = 0; written < bytes.length && result >= 0; written += result) {
      result = this.#sys.write(fd, bytes.subarray(written));
    }
    const synced = result < 0 ? result : this.#sys.fsync(fd);
    this.#sys.close(fd);
    const renamed = synced < 0 ? synced : this.#sys.rename(beside, path);
    if (renamed >= 0) return;
    this.#sys.unlink(beside);
    throw failedCommonCall(`cannot write data to file '${path}'`, renamed);
  }
}

/** A name that a shell takes as it is, and that ends no comment. */
const PLAIN = /^(?!.*--)[\w%+,./:=@-]+$/;

/** A document with what whoever opens it should know. */
function explained({ name, uuid }: PoolDefinition, xml: string): string {
  const shown = PLAIN.test(name) ? name : uuid;
  const lines = [
    "Made by libvirt's storage daemon, which writes this file anew: do not edit it.",
    `To change the pool, use: virsh pool-edit ${shown}`,
  ];
  return `<!--\n${lines.join("\n")}\n-->\n\n${xml}`;
}
