import { sha256 } from "@noble/hashes/sha2";
import { F_UNLCK, F_WRLCK, S_IFBLK, S_IFMT, S_IFREG } from "../../os/constants.ts";
import { EAGAIN, strerror } from "../../os/errno.ts";
import { emptyStatus, type FileStatus, type FileSys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import { type Holding, type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import type { FileHandle } from "../lockspace/lock_handle.ts";
import type { Resource } from "../lockspace/resource.ts";
import type { Testimony, Verdict, Witness } from "../lockspace/settler.ts";
import { type Sight, UNSEEN_QEMU, WRITE_GUARD, type WrittenFile } from "../lockspace/written_files.ts";
import { isReachedByOthers } from "./block_device.ts";
import { isLocked } from "./holder_scan.ts";
import { type GuardQuestion, UNDER_WAY } from "./last_writes.ts";
import type { JudgeTask, StorageClient } from "./storage_client.ts";

/** What a {@link StorageWitness} needs. */
export interface WitnessParts {
  readonly sys: Pick<
    FileSys,
    "open" | "close" | "pread" | "fstat" | "stat" | "ofdProbe" | "lease" | "readlink" | "listDirectory"
  >;
  /** The client of an open file on storage that may hang, undefined for a local file. */
  readonly clientOf: (path: string, identity: FileIdentity) => StorageClient | undefined;
  /** The same by a path. */
  readonly clientAt: (path: string) => StorageClient | undefined;
  /** Brings to the medium what the page cache still has of a file on such storage. */
  readonly sync: (client: StorageClient, path: string, done: (verdict: Verdict) => void) => void;
  /** Does for local files what may block or takes long. */
  readonly local: StorageClient;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** What was seen of an owner's process while it lived. */
  readonly sightOf: (key: OwnerKey) => Sight | undefined;
  /** Processes of all owners that live, as the daemon sees them. */
  readonly guests: () => readonly number[];
}

/** So many other guests are told a helper, for a message has its limit: what the others write is unknown. */
const GUESTS = 4096;
const OVER: Verdict = { kind: "over" };
/** A helper that cannot be had is tried again after this time, in ms. */
const HELPER_AGAIN_MS = 5000;
/** Why not all that an owner wrote may have been seen. */
const YOUNG = "a disk of it was not seen open";
const NO_HELPER = "the helper process that looks for its last writes cannot be had";

/**
 * Tells whether the last writes of an owner that is gone have landed.
 *
 * QEMU has a lock of its own on each image that it may write, and the kernel keeps it until the last write is
 * over: that is asked for, on the daemon's own descriptor where the image itself is what is locked, else by
 * what was seen of QEMU while it lived. Of another writer's file the kernel is asked for a lease for writing,
 * which it grants only while nobody else has the file open.
 */
export class StorageWitness implements Witness {
  readonly #parts: WitnessParts;
  /** When the helper may be asked again that could not be had. */
  #helperAgain = 0;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
  }

  ask(
    resource: Resource,
    holding: Holding,
    done: (verdict: Testimony) => void,
    unseen: "anybody" | "QEMU" = "anybody",
  ): void {
    const sight = this.#parts.sightOf(ownerKey(holding.owner));
    const taken = unseen === "QEMU" ? UNSEEN_QEMU : undefined;
    if (resource.lockspace === "") this.#image(resource, sight, taken, done);
    else this.#elsewhere(resource, sight ?? taken, done);
  }

  /** Judges by what was seen of a process that is gone and of which the lock table knows nothing. */
  judgeSeen(sight: Sight, done: (verdict: Testimony) => void): void {
    this.#elsewhere({ name: "", autocreate: true }, sight, done);
  }

  /** The lock is on the image itself. */
  #image(
    resource: Resource,
    sight: Sight | undefined,
    taken: Sight | undefined,
    done: (verdict: Testimony) => void,
  ): void {
    const { sys, clientOf } = this.#parts;
    const { path, handle } = resource;
    if (handle.kind === "none") return this.#unheld(path, sight, taken, done);
    const { fd, identity } = handle;
    const remote = clientOf(path, identity);
    if (remote !== undefined) {
      if (sight?.qemu === false) return done(sight.files.length === 0 ? OVER : unseen(sight));
      const question = { names: [], sync: true };
      return remote.judge({ op: "judge-guards", question }, fd, (verdict) => {
        // Only of a QEMU the guard tells all.
        if (verdict.kind === "over" && sight === undefined) this.#unseen(taken, true, done);
        else done(verdict);
      });
    }
    const status = emptyStatus();
    const known = sys.fstat(fd, status);
    if (known < 0) return done(unknown(`its file cannot be looked at: ${strerror(-known)}`));
    const guarded = this.#isGuarded(fd);
    if (typeof guarded === "number") {
      return done(unknown(`the lock of its writer cannot be asked for: ${strerror(guarded)}`));
    }
    const type = status.mode & S_IFMT;
    const qemu = (sight ?? taken)?.qemu === true;
    const device = () => this.#device(path, fd, status, sight ?? taken, done);
    if (guarded) {
      // Without an answer the next look at the lock itself tells whether it has gone; and when it has, there
      // is more to be asked of all but the image of a QEMU.
      const busy = ({ reason }: { reason: string }) => done({ kind: "busy", reason });
      const question = this.#besideGuests({ names: [], sync: false });
      return this.#local({ op: "judge-guards", question }, fd, (verdict) => {
        if (verdict.kind !== "over") return done(verdict);
        if (type === S_IFBLK) return device();
        if (qemu) return done(OVER);
        // Other guests have it, or it has gone while the helper looked: then the file is to be asked for.
        if (this.#isGuarded(fd) === true) this.#leased(handle, resource.shared, done);
        else busy({ reason: UNDER_WAY });
      }, busy);
    }
    switch (type) {
      case S_IFREG:
        return qemu ? done(OVER) : this.#leased(handle, resource.shared, done);
      case S_IFBLK:
        return device();
      default:
        return done(OVER);
    }
  }

  /** Whether anybody has QEMU's lock on an open file; an error number when that cannot be told. */
  #isGuarded(fd: number): boolean | number {
    const probe = { type: F_UNLCK, pid: 0 };
    const probed = this.#parts.sys.ofdProbe(fd, F_WRLCK, WRITE_GUARD, 1, probe);
    return probed < 0 ? -probed : probe.type !== F_UNLCK;
  }

  /**
   * The lock is not held, and its file not open: nobody was granted it all the same while its owner lived.
   */
  #unheld(
    path: string,
    sight: Sight | undefined,
    taken: Sight | undefined,
    done: (verdict: Testimony) => void,
  ): void {
    // It died while no daemon watched.
    if (sight === undefined) return this.#unseen(taken, true, done);
    const guarded = guardsOf(sight.files);
    const own = guarded.filter((file) => file.path === path);
    const names = (own.length > 0 ? own : guarded).map(({ guard }) => guard);
    if (names.length === 0) return done(OVER);
    this.#guards({ names, sync: false }, undefined, done);
  }

  /** A regular file of a writer other than QEMU, or of one that was not seen. */
  #leased({ fd, identity }: FileHandle, shared: boolean, done: (verdict: Testimony) => void): void {
    const { sys } = this.#parts;
    const leased = sys.lease(fd, F_WRLCK);
    if (leased === 0) {
      // At once: whoever opens the file while there is a lease has to wait.
      const back = sys.lease(fd, F_UNLCK);
      return done(back === 0 ? OVER : unknown(`a lease on it could not be given back: ${strerror(-back)}`));
    }
    if (leased !== -EAGAIN) {
      return done(unknown(`the kernel does not say who has it open: ${strerror(-leased)}`));
    }
    // Others who share it have it open by right.
    if (shared) return done(unknown("others have it open too"));
    const busy = ({ reason }: { reason: string }) => done({ kind: "busy", reason });
    this.#local({ op: "judge-openers", identity }, undefined, done, busy);
  }

  /**
   * A block device. A guest in a mount namespace of its own has a node of its own there, with locks of its
   * own: by what was seen of it they are found all the same.
   */
  #device(
    path: string,
    fd: number,
    status: FileStatus,
    sight: Sight | undefined,
    done: (verdict: Testimony) => void,
  ): void {
    if (sight?.qemu === false && sight.files.length === 0) return done(OVER);
    const guarded = guardsOf(sight?.files ?? []);
    const own = guarded.filter((file) => file.path === path);
    const names = (own.length > 0 ? own : guarded).map(({ guard }) => guard);
    const others = own.length === 0 && isPartial(sight);
    if (names.length === 0) return this.#unseen(sight, true, done);
    const { sys } = this.#parts;
    const sync = isReachedByOthers(sys, status.rdevMajor, status.rdevMinor);
    this.#guards({ names, sync, ...others ? { others: YOUNG } : {} }, fd, done);
  }

  /**
   * The lock is on another file: a lease, or one that stands for an image by its name. Then all that the
   * owner writes counts.
   */
  #elsewhere(
    { name, autocreate }: Pick<Resource, "name" | "autocreate">,
    sight: Sight | undefined,
    done: (verdict: Testimony) => void,
  ): void {
    if (sight?.qemu === false && sight.files.length === 0) return done(OVER);
    const guarded = guardsOf(sight?.files ?? []);
    if (guarded.length === 0) return this.#unseen(sight, autocreate, done);
    // A lock that is named after an image says of which one it is.
    const others = isPartial(sight) && guarded.every(({ path }) => sha256(encodeText(path)).toHex() !== name);
    const names = guarded.map(({ guard }) => guard);
    this.#guards({ names, sync: false, ...others ? { others: YOUNG } : {} }, undefined, (verdict) => {
      if (verdict.kind !== "over") return done(verdict);
      this.#sync(guarded.map(({ path }) => path), done);
    });
  }

  /**
   * Nobody knows which images it wrote. But if a QEMU's write is under way for a process that is gone, it may
   * be its own.
   *
   * @param disk whether the lock is of a disk that QEMU opens on this host: of a lease it may be one that is
   *   reached over the network, of whose writes no lock tells
   */
  #unseen(sight: Sight | undefined, disk: boolean, done: (verdict: Testimony) => void): void {
    const verdict = unseen(sight);
    if (sight?.qemu === false) return done(verdict);
    const all = disk && sight?.qemu === true;
    this.#guards({ names: [], sync: false, others: verdict.reason, devices: all }, undefined, (said) => {
      if ("untried" in said) return done(all ? said : { ...verdict, untried: true });
      // No QEMU that is gone has a write under way, so this one has none.
      if (all || said.kind === "busy") return done(said);
      const none = said.kind === "over" && sight !== undefined && isWithoutDisk(sight);
      done(none ? { ...verdict, disks: "none" } : verdict);
    });
  }

  /**
   * Looks for QEMU's lock among all locks of the host: in a helper, or here when that cannot be had, because
   * its program was replaced by another one.
   */
  #guards(question: GuardQuestion, fd: number | undefined, done: (verdict: Testimony) => void): void {
    this.#local({ op: "judge-guards", question: this.#besideGuests(question) }, fd, done, (lost) => {
      const held = isLocked(this.#parts.sys, new Set(question.names), WRITE_GUARD);
      done(held === false && !question.sync && question.others === undefined ? OVER : lost);
    });
  }

  #besideGuests(question: GuardQuestion): GuardQuestion {
    return { ...question, guests: this.#parts.guests().slice(0, GUESTS) };
  }

  /**
   * @param lost called with what is known then when the helper cannot be had; it is not started anew for each
   *   look
   */
  #local(
    task: JudgeTask,
    fd: number | undefined,
    done: (verdict: Testimony) => void,
    lost: (verdict: Extract<Testimony, { kind: "unknown" }>) => void,
  ): void {
    const { local, clock } = this.#parts;
    if (clock() < this.#helperAgain) return lost({ ...unknown(NO_HELPER), untried: true });
    local.judge(task, fd, done, () => {
      this.#helperAgain = clock() + HELPER_AGAIN_MS;
      lost(unknown(NO_HELPER));
    });
  }

  /** Brings to the medium what other hosts may read there. */
  #sync(paths: readonly string[], done: (verdict: Testimony) => void): void {
    const [path, ...others] = paths;
    if (path === undefined) return done(OVER);
    const client = this.#reachedThrough(path);
    if (client === undefined) return this.#sync(others, done);
    this.#parts.sync(client, path, (verdict) => {
      if (verdict.kind !== "over") return done(verdict);
      this.#sync(others, done);
    });
  }

  /** Who can bring a file to a medium that other hosts reach too; undefined when none does. */
  #reachedThrough(path: string): StorageClient | undefined {
    const { sys, clientAt, local } = this.#parts;
    if (!path.startsWith("/dev/")) return clientAt(path);
    const status = emptyStatus();
    const device = sys.stat(path, status) === 0 && (status.mode & S_IFMT) === S_IFBLK;
    return device && isReachedByOthers(sys, status.rdevMajor, status.rdevMinor) ? local : undefined;
  }
}

function isPartial(sight: Sight | undefined): sight is Sight & { partial: true } {
  return sight?.partial === true;
}

/** Files of which the process had QEMU's own lock. */
function guardsOf(files: readonly WrittenFile[]): { path: string; guard: string }[] {
  return files.flatMap(({ path, guard }) => guard === undefined ? [] : [{ path, guard }]);
}

function unseen(sight: Sight | undefined): Verdict & { kind: "unknown" } {
  if (sight === undefined) return unknown("what it writes was not seen while it lived");
  const disk = diskOf(sight);
  return unknown(disk === undefined ? "no disk of it was seen" : `it had ${disk.path} open for writing`);
}

/** A QEMU has the file of its own pid open for as long as it lives, which says nothing of its disks. */
function diskOf({ qemu, files }: Sight): WrittenFile | undefined {
  return files.find(({ path }) => !qemu || !path.endsWith(".pid"));
}

/** Whether a QEMU was looked at for long enough, and has no disk on this host. */
function isWithoutDisk(sight: Sight): boolean {
  return sight.qemu && sight !== UNSEEN_QEMU && !isPartial(sight) && diskOf(sight) === undefined;
}

function unknown(reason: string): Verdict & { kind: "unknown" } {
  return { kind: "unknown", reason };
}
