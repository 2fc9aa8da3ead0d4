import type { ListedLock } from "../shown/listed_lock.ts";
import type { LockEntry } from "../../status/status_document.ts";
import { readDefinedGuests } from "./defined_guests.ts";
import { diskLockName } from "./disk_name.ts";
import { lockedPaths } from "./domain.ts";
import type { Host } from "./host.ts";
import { readRunningGuests } from "./running_guests.ts";

const HASH = /^[0-9a-f]{64}$/;

/** Finds the disks behind locks whose names are hashes of the disks' paths. */
export class DiskNames {
  readonly #host: Host;
  /** Paths by their hashes. */
  readonly #paths = new Map<string, string>();
  /** Ids of the locks that have been looked for. */
  readonly #sought = new Set<number>();

  constructor(host: Host) {
    this.#host = host;
  }

  /** The locks, each with its disk where the guests of this libvirt or the lock's owners tell which it is. */
  name(locks: readonly LockEntry[]): ListedLock[] {
    this.#seek(
      locks.filter(({ id, lockspace, resource }) =>
        lockspace !== "" && HASH.test(resource) && !this.#paths.has(resource) && !this.#sought.has(id)
      ),
    );
    return locks.map((lock) => {
      const disk = lock.lockspace === "" ? undefined : this.#paths.get(lock.resource);
      return disk === undefined ? lock : { ...lock, disk };
    });
  }

  #seek(locks: readonly LockEntry[]): void {
    if (locks.length === 0) return;
    // The paths as they are configured, which is what the names are made of.
    this.#learn(lockedPaths([...readDefinedGuests(this.#host), ...readRunningGuests(this.#host).guests]));
    const holders = new Set<number>();
    for (const { id, resource, holders: owners } of locks) {
      this.#sought.add(id);
      if (!this.#paths.has(resource)) owners.forEach(({ pid }) => holders.add(pid));
    }
    // What a guest of another libvirt uses is found by its open files alone.
    for (const pid of holders) {
      const open = this.#host.list(`/proc/${pid}/fd`).map((fd) => this.#host.link(`/proc/${pid}/fd/${fd}`));
      this.#learn(open.filter((path) => path?.startsWith("/") === true));
    }
  }

  #learn(paths: readonly (string | undefined)[]): void {
    for (const path of paths) {
      if (path !== undefined) this.#paths.set(diskLockName(path), path);
    }
  }
}
