import type { HeldResources } from "./held_resources.ts";
import type { LockReleases } from "./lock_releases.ts";
import { ownerKey } from "./owner.ts";
import type { PausedGuests } from "./paused_guests.ts";
import type { Resource } from "./resource.ts";

/** What handing locks over to other hosts works with. */
export interface HandedOverParts {
  readonly held: Pick<HeldResources, "all" | "find" | "owned">;
  readonly paused: Pick<PausedGuests, "hasNotGoneOn">;
  readonly releases: Pick<LockReleases, "handOver">;
  /** Whether every owner of a lock is on its way out. */
  readonly isGoing: (resource: Resource) => boolean;
}

/** Locks that are kept for paused guests, and that guests of other hosts ask for. */
export class HandedOver {
  readonly #parts: HandedOverParts;

  constructor(parts: HandedOverParts) {
    this.#parts = parts;
  }

  /**
   * A guest of another host asks for a lock of this one. What is kept for a paused guest is released; where
   * it is the same domain, so that it migrates, all that is kept for it.
   *
   * @param path of the lock file
   * @returns whether the lock is on its way out
   */
  askedFor(path: string, uuid: string): boolean {
    const { held, releases, isGoing } = this.#parts;
    const resource = this.#at(path);
    if (resource === undefined) return false;
    const [holding] = resource.holdings;
    if (resource.regrant === "parked" && holding !== undefined) {
      const { owner } = holding;
      const same = owner.uuid === uuid ? held.owned.of(ownerKey(owner)) : [];
      for (const each of [resource, ...same]) if (each.regrant === "parked") releases.handOver(each);
    }
    return isGoing(resource);
  }

  /**
   * Somebody may have had a lock that this host has: what no guest has gone on with is released, so that none
   * goes on with it unasked.
   *
   * @param path of the lock file
   * @returns whether it is on its way out: a guest that runs with it keeps it
   */
  partWith(path: string): boolean {
    const { paused, releases } = this.#parts;
    const resource = this.#at(path);
    if (resource === undefined || !paused.hasNotGoneOn(resource)) return false;
    releases.handOver(resource);
    return true;
  }

  #at(path: string): Resource | undefined {
    const { held } = this.#parts;
    const slash = path.lastIndexOf("/");
    return held.find(path.slice(0, slash), path.slice(slash + 1)) ?? held.find("", path);
  }

  /** Goes on with what an earlier life was handing over when it ended. */
  resumeAll(): void {
    for (const resource of [...this.#parts.held.all()]) this.resume(resource);
  }

  /** The same, of one lock: where its storage has not answered before, that is as soon as it is had again. */
  resume(resource: Resource): void {
    if (resource.regrant === "leaving" && resource.state.kind === "held") {
      this.#parts.releases.handOver(resource);
    }
  }
}
