import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import { LocalLockFiles, type LockFiles } from "../lockspace/lock_files.ts";
import type { FindHolder } from "../lockspace/lock_table_parts.ts";
import type { OwnerKey } from "../lockspace/owner.ts";
import type { Places } from "../lockspace/places.ts";
import { LOCK_LENGTH, LOCK_START } from "../lockspace/lock_file.ts";
import type { PosixGuard } from "../lockspace/posix_guard.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import type { Sight } from "../lockspace/written_files.ts";
import { EACCES, EAGAIN } from "../../os/errno.ts";
import { SystemError } from "../../os/system_error.ts";
import { withVariables } from "../../chassis/start/self.ts";
import { HELPER_COMMAND, type HelperCommand, PROTOCOL_VERSION } from "./helper_protocol.ts";
import { HelperStarter } from "./helper_starter.ts";
import { Deputies } from "./deputies.ts";
import { DeputyStarter } from "./deputy_starter.ts";
import { holderFinder } from "./holder_finder.ts";
import { MountTable } from "./mount_table.ts";
import { deviceKey, type Mount, typeKeepsLocks } from "./mount_tree.ts";
import { MountedPlaces } from "./mounted_places.ts";
import { placeStatus } from "./place_status.ts";
import { locationOf, placeOf } from "./placement.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import { RoutedLockFiles } from "./routed_lock_files.ts";
import { type LockTrouble, StorageClient } from "./storage_client.ts";
import type { StorageQueueParts, StorageStatus } from "./storage_queue.ts";
import { StorageWitness } from "./witness.ts";
import type { StorageObserver } from "./storage_observer.ts";

/** What storage is built from. */
export interface StorageParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly guard: PosixGuard;
  /**
   * How to start this program; the helper's command line is appended, and most of the environment left out.
   */
  readonly self: HelperCommand;
  /** How long an operation may take before its asker is told, in ms. */
  readonly timeLimit: () => number;
  readonly observer: StorageObserver;
  /** Where the service manager starts helpers that become another user. */
  readonly deputySocket: string;
  /** What was seen of an owner's process while it lived. */
  readonly sightOf: (key: OwnerKey) => Sight | undefined;
  /** Processes of all owners that live, as the daemon sees them. */
  readonly guests: () => readonly number[];
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** {@link Storage.handover} of an earlier image of this daemon. */
  readonly inherited: number | undefined;
}

/** What a helper's runtime needs to start: all of it must fit into one message. */
const ENVIRONMENT = /^(PATH|HOME|TMPDIR|XDG_CACHE_HOME|DENO_[A-Z_]+)=/;

/**
 * All file operations of the lock core, on storage of any kind: local files at once, on the daemon's own
 * thread, and every mount that may stop answering through a helper process of its own.
 */
export class Storage {
  /** The lock core's file operations. */
  readonly files: LockFiles;
  /** Tells on which file systems directories lie. */
  readonly places: Places;
  /** Tells whether the last writes of owners that are gone have landed. */
  readonly witness: StorageWitness;
  /** Names who holds a file outside this daemon. */
  readonly findHolder: FindHolder;
  readonly #parts: StorageParts;
  readonly #environment: readonly string[];
  readonly #mounts: MountTable;
  readonly #starter: HelperStarter;
  readonly #clientParts: StorageQueueParts;
  /** By device. Kept when the mount has gone: locks on it may still be held. */
  readonly #clients = new Map<number, StorageClient>();
  readonly #local: StorageClient;
  readonly #deputies: Deputies;

  /** @throws SystemError when the list of mounts cannot be read */
  constructor(parts: StorageParts) {
    const { sys, loop, ledger, guard, observer, self } = parts;
    this.#parts = parts;
    this.#mounts = new MountTable({
      sys,
      loop,
      ledger,
      unreadable: (error) => observer.mountsUnreadable(error),
    });
    this.places = new MountedPlaces(sys, this.#mounts);
    this.#environment = self.env.filter((entry) => ENVIRONMENT.test(entry));
    const command = {
      path: self.path,
      argv: [...self.argv, HELPER_COMMAND, PROTOCOL_VERSION],
      env: this.#environment,
    };
    this.#starter = new HelperStarter({ sys, loop, ledger }, command, parts.inherited);
    this.#clientParts = {
      sys,
      loop,
      ledger,
      starter: this.#starter,
      closeFile: (fd, identity) => guard.close(fd, identity),
      timeLimit: parts.timeLimit,
      observer,
      now: parts.now,
      rested: () => this.#rested(),
    };
    this.#local = new StorageClient(this.#clientParts, undefined);
    const deputies = new DeputyStarter({
      sys,
      loop,
      ledger,
      starter: this.#starter,
      self: { ...self, env: this.#environment },
      socket: parts.deputySocket,
    });
    this.#deputies = new Deputies(this.#clientParts, deputies, () => sys.uid() === 0);
    this.files = new RoutedLockFiles(new LocalLockFiles(sys, guard), {
      ofLock: (path) => {
        const client = this.#ofPath(path);
        if (client === undefined) return undefined;
        return { lock: (request, done) => this.#deputies.lock(client, request, done) };
      },
      ofPath: (path) => this.#ofPath(path),
      ofFile: (path, identity) => this.#ofFile(path, identity),
    });
    this.witness = new StorageWitness({
      sys,
      clientOf: (path, identity) => this.#ofFile(path, identity),
      clientAt: (path) => this.#ofPath(path),
      sync: (client, path, done) => this.#deputies.sync(client, path, done),
      local: this.#local,
      clock: () => sys.monotonic(),
      sightOf: parts.sightOf,
      guests: parts.guests,
    });
    this.findHolder = holderFinder(sys, (path, identity) => this.#ofFile(path, identity), this.#local);
  }

  /**
   * Runs a program from a process that has none of the daemon's files, while everybody is served: a child of
   * the daemon's own would not start while storage hangs on which the daemon has locks.
   *
   * @param limit milliseconds after which it is killed
   * @param done called once, after this function has returned
   * @param variables of its environment that are not this daemon's own
   */
  run(
    path: string,
    argv: readonly string[],
    limit: number,
    done: (result: ProgramResult) => void,
    variables: Readonly<Record<string, string>> = {},
  ): void {
    const env = withVariables(this.#environment, variables);
    this.#local.run({ path, argv, env }, limit, done);
  }

  /** Whether an operation on an open file of this daemon may block for ever. */
  mayHang(path: string, identity: FileIdentity): boolean {
    return this.#ofFile(path, identity) !== undefined;
  }

  /**
   * Asks the storage of an open file for an answer, within the time limit: soon after one the daemon may
   * touch the file itself.
   *
   * @param fd stays the caller's
   * @param done gets undefined, or why there was no answer; for a file that cannot hang, at once
   */
  probe(path: string, identity: FileIdentity, fd: number, done: (reason: string | undefined) => void): void {
    const client = this.#ofFile(path, identity);
    if (client === undefined) done(undefined);
    else client.probe(path, fd, done);
  }

  /**
   * Sets the lock of an open file's description, on storage that may hang in its helper.
   *
   * @param fd stays the caller's
   * @param type F_RDLCK, F_WRLCK or F_UNLCK
   * @param done gets undefined, or why it was not set; for a file that cannot hang, at once
   */
  setLock(
    path: string,
    identity: FileIdentity,
    fd: number,
    type: number,
    done: (trouble: LockTrouble | undefined) => void,
  ): void {
    const client = this.#ofFile(path, identity);
    if (client !== undefined) return client.setLock(path, fd, type, done);
    const result = this.#parts.sys.ofdLock(fd, type, LOCK_START, LOCK_LENGTH);
    if (result >= 0) return done(undefined);
    const taken = result === -EAGAIN || result === -EACCES;
    const reason = new SystemError("F_OFD_SETLK", path, result).message;
    done({ kind: taken ? "taken" : "unset", reason });
  }

  /** Whether a path is on a file system that may keep locks itself, until they are released explicitly. */
  keepsLocks(path: string): boolean {
    return typeKeepsLocks(placeOf(this.#parts.sys, this.#mounts.tree, path)?.type ?? "");
  }

  /** See locationOf() of placement.ts: two paths of one file have the same one. */
  locationOf(path: string): string | undefined {
    return locationOf(this.#parts.sys, this.#mounts.tree, path);
  }

  /** The places that had a helper, or have one. */
  get status(): readonly StorageStatus[] {
    const places = [...this.#clients.values()].map((client) => {
      return placeStatus(client.status, this.#deputies.at(client).map(({ status }) => status));
    });
    return [this.#local.status, ...places];
  }

  /**
   * A descriptor for the next image of this daemon, to be given to it as `inherited`: undefined when it needs
   * none. It stays this object's, and close-on-exec until the exec is sure.
   */
  get handover(): number | undefined {
    return this.#starter.handover;
  }

  /** Lets all helpers go. What they have not finished they undo or complete by themselves. */
  close(): void {
    for (const client of this.#everyClient) client.close();
    this.#starter.close();
    this.#mounts.close();
  }

  #ofPath(path: string): StorageClient | undefined {
    const mount = placeOf(this.#parts.sys, this.#mounts.tree, path);
    return mount === undefined ? undefined : this.#client(mount);
  }

  #ofFile(path: string, { devMajor, devMinor }: FileIdentity): StorageClient | undefined {
    const { tree } = this.#mounts;
    if (tree.mayHang.length === 0 && this.#clients.size === 0) return undefined;
    const device = deviceKey(devMajor, devMinor);
    const mount = tree.hangingDevice(device);
    if (mount !== undefined) return this.#clients.get(device) ?? this.#client(mount);
    if (tree.hasDevice(device)) return undefined;
    // Not mounted any more, or a subvolume, whose device no mount shows.
    return this.#clients.get(device) ?? this.#ofPath(path);
  }

  #client(mount: Mount): StorageClient {
    let client = this.#clients.get(mount.device);
    if (client === undefined) {
      client = new StorageClient(this.#clientParts, mount);
      this.#clients.set(mount.device, client);
    }
    // The number may have been another filesystem's before.
    client.mount = mount;
    return client;
  }

  #rested(): void {
    if (!this.#everyClient.some((client) => client.active)) this.#starter.rest();
  }

  get #everyClient(): StorageClient[] {
    return [this.#local, ...this.#clients.values(), ...this.#deputies.all];
  }
}
