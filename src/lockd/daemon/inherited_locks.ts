import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import { F_WRLCK } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import type { FileHandle } from "../lockspace/lock_handle.ts";
import { HELD, isMissing } from "../lockspace/lock_record.ts";
import { lockText } from "../lockspace/lock_text.ts";
import { type Crossing, crossTo } from "../lockspace/lock_bridge.ts";
import { LOCK_LENGTH, LOCK_START } from "../lockspace/lock_file.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { readSmallFile } from "../../os/read_file.ts";
import type { Resource } from "../lockspace/resource.ts";
import { shownLocks } from "../../os/shown_lock.ts";
import type { Storage } from "../storage/storage.ts";

/** A lock that could only be kept as a shared one is tried again after so many ms. */
const MEND_MS = 1000;
/** Since Linux 5.11 a POSIX lock survives that a process with several threads executes a program. */
const POSIX_SURVIVES_EXEC = [5, 11] as const;

/** A resource with its open file. */
interface HeldFile {
  readonly resource: Resource;
  readonly handle: FileHandle;
}

/** What the conversion of locks works with. */
export interface InheritedLocksParts {
  readonly sys: Sys;
  readonly loop: Pick<EventLoop, "after">;
  readonly table: LockTable;
  readonly storage: Pick<Storage, "mayHang" | "probe">;
  readonly log: Log;
}

/**
 * Turns the POSIX locks of libvirt's daemon into locks of open file descriptions, which outlive this process
 * in the service manager's store, and back before libvirt's daemon takes over.
 * src/lockd/lockspace/lock_bridge.ts says how.
 *
 * Files on storage that may hang are only touched after their storage has answered a helper.
 */
export class InheritedLocks {
  readonly #parts: InheritedLocksParts;
  /** Locks that are held as POSIX locks for libvirt's daemon, until it takes over. */
  #given: HeldFile[] = [];
  /** Files on storage that did not answer when it was asked before a hand-over, with what it said. */
  readonly #silent = new Map<string, string>();

  constructor(parts: InheritedLocksParts) {
    this.#parts = parts;
  }

  /**
   * Takes over what libvirt's daemon left, or an image of ours that could not convert it. The daemon keeps
   * what cannot be.
   */
  convert(): void {
    const { table, storage } = this.#parts;
    const inherited: HeldFile[] = [];
    for (const resource of table.resources()) {
      const { handle } = resource;
      if (handle.kind === "file" && handle.lock === "posix") inherited.push({ resource, handle });
    }
    if (inherited.length === 0) return;
    const names = this.#namesOfFiles();
    let converted = 0;
    for (const { resource, handle } of inherited) {
      // Of two names of one file only one can have it exclusively. libvirt's daemon lets both.
      const others = (names.get(fileKey(handle)) ?? []).filter((other) => other !== resource);
      const [other] = others;
      if (other !== undefined && ![resource, ...others].every(({ shared }) => shared)) {
        this.#stays(resource, `its file is locked as '${other.name}' too`);
        continue;
      }
      if (!storage.mayHang(resource.path, handle.identity)) {
        if (this.#convert(resource, handle)) converted++;
        continue;
      }
      storage.probe(resource.path, handle.identity, handle.fd, (reason) => {
        // Until now it may have been released.
        const there = table.has(resource) && resource.state.kind !== "releasing" &&
          resource.handle === handle;
        if (!there) return;
        if (reason === undefined) this.#convert(resource, handle);
        else this.#stays(resource, reason);
      });
    }
    if (converted > 0) {
      this.#parts.log.info(
        `${converted} POSIX locks of libvirt's daemon are locks of open file descriptions now, and were never free`,
      );
    }
  }

  /**
   * Finds out which storage answers, so that {@link give} touches no other.
   *
   * @param done called once, perhaps before this returns
   */
  prepare(done: () => void): void {
    const { table, storage } = this.#parts;
    this.#silent.clear();
    const asked = new Map<string, HeldFile>();
    for (const held of filesOf(table)) {
      const { resource: { path }, handle } = held;
      if (storage.mayHang(path, handle.identity)) asked.set(deviceKey(handle), held);
    }
    let left = asked.size + 1;
    const one = () => {
      if (--left === 0) done();
    };
    for (const [device, { resource: { path }, handle: { identity, fd } }] of asked) {
      storage.probe(path, identity, fd, (reason) => {
        if (reason !== undefined) this.#silent.set(device, reason);
        one();
      });
    }
    one();
  }

  /**
   * Makes the locks POSIX locks of this process, as libvirt's daemon has its own: right before it is
   * executed.
   *
   * A lock that cannot be stays as it is, because libvirt's daemon gives a description's lock up as well, by
   * closing it. Not so on a file system that keeps locks elsewhere (FUSE): there nobody could ever release
   * it.
   *
   * @returns why it must not be executed; then all is as it was
   */
  give(): string | undefined {
    const { sys, table } = this.#parts;
    const missing = table.resources().find(({ state }) => isMissing(state));
    if (missing !== undefined) {
      return `${lockText(missing)} is not taken again yet, which libvirt's daemon would never do`;
    }
    const convertible = posixSurvivesExec(sys);
    const names = this.#namesOfFiles();
    for (const { resource, handle } of filesOf(table)) {
      if (handle.lock === "posix") continue;
      const why = !convertible
        ? "this kernel drops POSIX locks when libvirt's daemon is executed"
        : (names.get(fileKey(handle))?.length ?? 0) > 1
        ? "its file is locked under two names"
        : this.#silent.get(deviceKey(handle));
      if (why === undefined) {
        const crossing = crossTo(sys, handle.fd, resource.shared, "posix");
        if (crossing.lock === "posix" && !crossing.weakened) {
          this.#given.push({ resource, handle });
          continue;
        }
        // The kernel lock of a doubtful one may be somebody else's.
        if (resource.state.kind === "doubtful") continue;
        this.take();
        this.#settle(resource, handle, crossing);
        return `${lockText(resource)} could not be made a POSIX lock: ${failureText(crossing)}`;
      }
      if (resource.state.kind === "doubtful" || shownLocks(sys, handle.fd).length > 0) continue;
      this.take();
      return `${
        lockText(resource)
      } would stay locked for ever: its file system keeps locks until they are released ` +
        `explicitly, which libvirt's daemon does not do, and ${why}`;
    }
    return undefined;
  }

  /** libvirt's daemon did not take over: the locks are locks of descriptions again. */
  take(): void {
    const given = this.#given;
    this.#given = [];
    for (const { resource, handle } of given) {
      this.#settle(resource, handle, crossTo(this.#parts.sys, handle.fd, resource.shared, "ofd"));
    }
  }

  /** @returns whether it is a lock of the description now */
  #convert(resource: Resource, handle: FileHandle): boolean {
    const crossing = crossTo(this.#parts.sys, handle.fd, resource.shared, "ofd");
    this.#settle(resource, handle, crossing);
    if (crossing.lock === "ofd") return true;
    if (!crossing.weakened) this.#stays(resource, failureText(crossing));
    return false;
  }

  /** Notes what has become of a lock. */
  #settle(resource: Resource, handle: FileHandle, crossing: Crossing): void {
    const { table, log } = this.#parts;
    if (!crossing.weakened) {
      if (crossing.lock !== handle.lock) table.recast(resource, crossing.lock, resource.state);
      return;
    }
    const reason = `somebody else got a shared lock on its file, so it could only be kept as a shared one (${
      failureText(crossing)
    })`;
    table.recast(resource, crossing.lock, { kind: "doubtful", reason });
    log.error(`${lockText(resource)} is in doubt: ${reason}`);
    this.#mendLater(resource, reason);
  }

  /** Makes an exclusive lock whole again when whoever shares it has gone. */
  #mendLater(resource: Resource, reason: string): void {
    const { sys, loop, table, log, storage } = this.#parts;
    loop.after(MEND_MS, () => {
      const { state, handle } = resource;
      if (state.kind !== "doubtful" || state.reason !== reason || handle.kind === "none") return;
      const hangs = storage.mayHang(resource.path, handle.identity);
      const lock = handle.lock === "ofd" ? sys.ofdLock : sys.posixLock;
      // Where it might block it waits for the next start of an image of this daemon.
      if (hangs) return;
      if (lock(handle.fd, F_WRLCK, LOCK_START, LOCK_LENGTH) < 0) return this.#mendLater(resource, reason);
      table.recast(resource, handle.lock, HELD);
      log.warn(
        `${
          lockText(resource)
        } is exclusive again: nobody shares it any more, and nobody else could write meanwhile`,
      );
    });
  }

  #stays(resource: Resource, reason: string): void {
    this.#parts.log.warn(
      `${
        lockText(resource)
      } is still a POSIX lock, as libvirt's daemon made it, and would end with this process: ${reason}`,
    );
  }

  #namesOfFiles(): Map<string, Resource[]> {
    const names = new Map<string, Resource[]>();
    for (const { resource, handle } of filesOf(this.#parts.table)) {
      const key = fileKey(handle);
      const same = names.get(key);
      if (same === undefined) names.set(key, [resource]);
      else same.push(resource);
    }
    return names;
  }
}

/** Resources whose file is open. */
function* filesOf(table: LockTable): Generator<HeldFile> {
  for (const resource of table.resources()) {
    const { handle } = resource;
    if (handle.kind === "file") yield { resource, handle };
  }
}

function fileKey({ identity: { devMajor, devMinor, inodeHigh, inodeLow } }: FileHandle): string {
  return `${devMajor}:${devMinor}:${inodeHigh}:${inodeLow}`;
}

function deviceKey({ identity: { devMajor, devMinor } }: FileHandle): string {
  return `${devMajor}:${devMinor}`;
}

function failureText({ failure }: Crossing): string {
  return failure === undefined
    ? "for no reason that is known"
    : `${failure.call}: ${strerror(failure.errno)}`;
}

function posixSurvivesExec(sys: Sys): boolean {
  const release = readSmallFile(sys, "/proc/sys/kernel/osrelease") ?? "";
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor, wantedMinor] = POSIX_SURVIVES_EXEC;
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}
