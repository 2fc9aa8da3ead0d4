import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import { F_RDLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { FileHandle } from "../lockspace/lock_handle.ts";
import { isMissing, reasonOf } from "../lockspace/lock_record.ts";
import { lockText } from "../lockspace/lock_text.ts";
import type { LockFilesOutcome } from "../lockspace/lock_files.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import type { Resource } from "../lockspace/resource.ts";
import { misplacedText } from "../programs/lock_failure.ts";
import { shownLocks } from "../../os/shown_lock.ts";
import { deviceKey } from "../storage/mount_tree.ts";
import type { Storage } from "../storage/storage.ts";

/** What could not be taken again is tried again after so many ms. */
const AGAIN_MS = 5000;

/** What taking locks again works with. */
export interface AwaitedLocksParts {
  readonly sys: Sys;
  readonly loop: Pick<EventLoop, "after">;
  readonly table: LockTable;
  readonly storage: Pick<Storage, "files" | "mayHang" | "setLock" | "keepsLocks">;
  readonly log: Log;
  /** Told of a lock that is about to be had again, and of its file. */
  readonly found: (resource: Resource, fd: number, identity: FileIdentity) => void;
}

/**
 * Takes locks again that ended with an earlier daemon and could not be had at the start: because their
 * storage may hang, which is then asked through its helper, or because somebody else had them. Everybody is
 * served meanwhile. Until it has such a lock the daemon refuses it to others, and shows it as awaited or
 * lost.
 */
export class AwaitedLocks {
  readonly #parts: AwaitedLocksParts;

  constructor(parts: AwaitedLocksParts) {
    this.#parts = parts;
  }

  /** To be called when the daemon serves. */
  begin(): void {
    const { sys, table, storage } = this.#parts;
    for (const resource of table.resources()) {
      const { handle, state, path } = resource;
      if (state.kind === "awaited") this.#take(resource);
      // It has just been tried.
      else if (state.kind === "lost") this.#takeLater(resource);
      // Where the kernel shows no lock the file system keeps them, and only that can say whether it does.
      else if (state.kind === "held" && handle.kind === "file" && handle.lock === "ofd") {
        const stray = this.#strayed(resource, handle);
        if (stray !== undefined) {
          table.lose(resource, { kind: "lost", reason: stray }, "ended with the last daemon");
          // What is in the way has to be unmounted.
          table.letGo(resource, Math.max(sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0), -1));
          this.#takeLater(resource);
          continue;
        }
        const hidden = storage.mayHang(path, handle.identity) && shownLocks(sys, handle.fd).length === 0;
        if (hidden) this.#prove(resource, handle);
      }
    }
  }

  /**
   * Why a lock that was just taken again guards nothing: its directory's file system is not mounted, and what
   * is locked is a file of the same name below. One that was never lost is still on its own file system.
   */
  #strayed({ lockspace }: Resource, { identity: { devMajor, devMinor } }: FileHandle): string | undefined {
    const misplaced = this.#parts.table.misplaced(lockspace);
    const isBelow = misplaced?.found.device === deviceKey(devMajor, devMinor);
    return misplaced !== undefined && isBelow ? misplacedText(misplaced) : undefined;
  }

  #take(resource: Resource): void {
    const { path, shared, lockspace } = resource;
    const misplaced = this.#parts.table.misplaced(lockspace);
    if (misplaced !== undefined) return this.#refused(resource, "lost", misplacedText(misplaced));
    const request = { path, shared, autocreate: false, followLinks: lockspace === "" };
    this.#parts.storage.files.lock(request, (outcome) => this.#answered(resource, outcome));
  }

  #answered(resource: Resource, outcome: LockFilesOutcome): void {
    const { table } = this.#parts;
    const wanted = table.has(resource) && isMissing(resource.state);
    if (outcome.kind === "granted") {
      if (!wanted) return this.#giveBack(resource, outcome);
      const { fd, identity } = outcome;
      this.#parts.found(resource, fd, identity);
      return table.seize(resource, fd, identity);
    }
    this.#refused(resource, outcome.kind === "storage" ? "awaited" : "lost", this.#reason(resource, outcome));
  }

  #refused(resource: Resource, kind: "awaited" | "lost", reason: string): void {
    if (!this.#parts.table.has(resource) || !isMissing(resource.state)) return;
    // Of one whose owner is gone nobody runs unprotected.
    if (this.#parts.table.settling(resource) === undefined) this.#report(resource, kind, reason);
    this.#takeLater(resource);
  }

  #takeLater(resource: Resource): void {
    const { table, loop } = this.#parts;
    loop.after(AGAIN_MS, () => {
      // When it is not wanted any more its file may still have to go, which is tried once.
      if (table.has(resource) || resource.autocreate) this.#take(resource);
    });
  }

  /** Its owner has ended or released it meanwhile. */
  #giveBack(
    { path, shared, autocreate }: Resource,
    { fd, identity }: Extract<LockFilesOutcome, { kind: "granted" }>,
  ): void {
    const { storage, log } = this.#parts;
    const request = { path, fd, lock: "ofd", shared, autocreate, force: true } as const;
    storage.files.unlock(request, identity, () => {}, (failure) => {
      if (failure !== undefined) log.error(`${failure.action}, which nobody wanted any more`);
    });
  }

  #reason(resource: Resource, outcome: Exclude<LockFilesOutcome, { kind: "granted" }>): string {
    switch (outcome.kind) {
      case "storage":
        return outcome.reason;
      case "elsewhere":
      case "used":
        return "another host holds it now";
      case "failed":
        return `${outcome.action}: ${strerror(outcome.errno)}`;
      case "busy":
        // Such a file system does not tell whose lock it is.
        return this.#parts.storage.keepsLocks(resource.path)
          ? "its FUSE file system still has a lock on it: the killed daemon's own, which nobody else has and which stays until " +
            "the file system is unmounted, or that of somebody else"
          : "somebody else holds it now";
    }
  }

  /** Said once for each reason. */
  #report(resource: Resource, kind: "awaited" | "lost", reason: string): void {
    if (isMissing(resource.state) && reasonOf(resource.state) === reason) return;
    this.#parts.table.lose(
      resource,
      { kind, reason },
      "ended with the last daemon and could not be taken again yet",
    );
  }

  /** To take a lock that its description has changes nothing. */
  #prove(resource: Resource, { fd, identity }: FileHandle): void {
    const { storage, table, log } = this.#parts;
    const { path, shared } = resource;
    storage.setLock(path, identity, fd, shared ? F_RDLCK : F_WRLCK, (trouble) => {
      if (trouble === undefined || !table.has(resource) || resource.state.kind !== "held") return;
      if (trouble.kind === "taken") {
        table.lose(resource, { kind: "lost", reason: trouble.reason }, "ended with the last daemon");
        return this.#takeLater(resource);
      }
      const reason = `its file system did not confirm that it is locked: ${trouble.reason}`;
      table.recast(resource, "ofd", { kind: "doubtful", reason });
      log.error(`${lockText(resource)} is in doubt: ${reason}`);
    });
  }
}
