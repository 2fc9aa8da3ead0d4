import { invariant } from "../../base/invariant.ts";
import { RecurringMap } from "../../base/recurring_map.ts";
import { isHeldBy, type Owner, type OwnerKey, ownerKey, UNKNOWN_UUID } from "./owner.ts";
import type { Resource } from "./resource.ts";

/** Resources by owner: what one has whose process is gone is found without a walk. */
export class OwnedResources {
  readonly #byOwner = new RecurringMap<OwnerKey, Set<Resource>>();
  /** Owners of whom nothing but the pid is known. */
  readonly #nameless = new Set<OwnerKey>();

  /** Everybody who owns anything. */
  get owners(): Iterable<OwnerKey> {
    return this.#byOwner.keys();
  }

  /** Resources that an owner has. */
  of(key: OwnerKey): readonly Resource[] {
    return [...this.#byOwner.get(key) ?? []];
  }

  /** How many resources an owner has. */
  count(key: OwnerKey): number {
    return this.#byOwner.get(key)?.size ?? 0;
  }

  /** Whether an owner has anything. */
  has(key: OwnerKey): boolean {
    return this.#byOwner.has(key);
  }

  /** An owner has got a holding of a resource. */
  add(owner: Owner, resource: Resource): void {
    const key = ownerKey(owner);
    const owned = this.#byOwner.get(key);
    if (owned === undefined) this.#byOwner.set(key, new Set([resource]));
    else owned.add(resource);
    if (owner.uuid === UNKNOWN_UUID) this.#nameless.add(key);
  }

  /**
   * A holding of a resource was taken off.
   *
   * @returns whether the owner has none of it any more
   */
  remove(owner: Owner, resource: Resource): boolean {
    const key = ownerKey(owner);
    if (resource.holdings.some((other) => ownerKey(other.owner) === key)) return false;
    const owned = this.#byOwner.get(key);
    invariant(owned?.delete(resource) === true, "A resource is not among what its owner has");
    if (owned.size > 0) return true;
    this.#byOwner.delete(key);
    this.#nameless.delete(key);
    return true;
  }

  /**
   * Whoever asks first with the pid of an owner of whom nothing else is known tells who that is. Without a
   * pid nobody can.
   *
   * @param learnt called for each resource whose owner is known now
   */
  learn(asker: Owner, learnt: (resource: Resource) => void): void {
    if (this.#nameless.size === 0) return;
    const key = ownerKey(asker);
    if (asker.uuid === UNKNOWN_UUID || !this.#nameless.delete(key)) return;
    for (const resource of this.of(key)) {
      resource.holdings.forEach(({ owner, since }, index) => {
        if (isHeldBy(owner, asker)) resource.holdings[index] = { owner: asker, since };
      });
      learnt(resource);
    }
  }
}
