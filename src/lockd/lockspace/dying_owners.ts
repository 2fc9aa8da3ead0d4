import type { HeldResources } from "./held_resources.ts";
import type { LockReleases } from "./lock_releases.ts";
import { type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import type { Done } from "./refusal.ts";
import type { Resource } from "./resource.ts";
import type { Settler } from "./settler.ts";

/** What works on owners' behalf who do not ask any more. */
export interface DyingOwnersParts {
  readonly held: Pick<HeldResources, "owned">;
  readonly releases: Pick<LockReleases, "takeOff">;
  readonly settler: Pick<Settler, "settle" | "isSettling">;
}

/** Owners whose process is being killed, and what becomes of the locks of those that are gone. */
export class DyingOwners {
  readonly #parts: DyingOwnersParts;
  readonly #dying = new Set<OwnerKey>();

  constructor(parts: DyingOwnersParts) {
    this.#parts = parts;
  }

  /** From now on the owner's process is being killed. */
  mark(key: OwnerKey): void {
    this.#dying.add(key);
  }

  has(key: OwnerKey): boolean {
    return this.#dying.has(key);
  }

  /**
   * Releases everything an owner has: its process is gone. Each lock goes when the last writes that it guards
   * against have landed.
   *
   * @param done called when all of it is released or found impossible to release
   */
  releaseAll(key: OwnerKey, done: () => void): void {
    const { held, releases, settler } = this.#parts;
    this.#dying.delete(key);
    const resources = held.owned.of(key);
    let left = 1;
    const one = () => {
      if (--left === 0) done();
    };
    for (const resource of resources) {
      const mine = () => resource.holdings.filter(({ owner }) => ownerKey(owner) === key);
      const [first] = mine();
      if (first === undefined || settler.isSettling(resource, key)) continue;
      left++;
      settler.settle(resource, first, () => {
        for (const holding of mine()) {
          left++;
          releases.takeOff(resource, holding, true, one);
        }
        one();
      });
    }
    one();
  }

  /**
   * Takes an owner off a resource, as often as it has it, although it did not ask for that: whoever calls
   * this has judged it.
   */
  giveUp(resource: Resource, { uuid, ...owner }: Owner, done: Done): void {
    const { releases } = this.#parts;
    const key = ownerKey({ uuid, ...owner });
    const held = resource.holdings.filter((holding) =>
      ownerKey(holding.owner) === key && holding.owner.uuid === uuid
    );
    const last = held.pop();
    if (last === undefined) throw new Error(`Give up resource ${resource.name}: the owner does not hold it`);
    // Only of a shared one it may have several, and all but the last hold go at once.
    for (const holding of held) releases.takeOff(resource, holding, true, () => {});
    releases.takeOff(resource, last, true, done, true);
  }
}
