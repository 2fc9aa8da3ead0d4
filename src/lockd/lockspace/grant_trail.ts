import type { ParkedLock, Unparked } from "./parked_locks.ts";
import type { Resource } from "./resource.ts";

/** So many grants are kept before those are left out that were released. */
const ROOM = 64;
const NOTHING: Unparked = { taken: undefined, used: [] };

/**
 * What one connection was granted, as far as it may turn out that its guest never ran with it: libvirt asks
 * for one lock after the other over a connection of its own, gives up at the first refusal, and releases
 * nothing of what it has got by then.
 */
export class GrantTrail {
  #granted: Resource[] = [];
  #room = ROOM;
  #used: ParkedLock[] = [];
  readonly #refused: Resource[] = [];
  readonly #taken: ParkedLock[] = [];
  /** Whether its owner had nothing before the first of these grants, and was refused nothing since. */
  first = false;
  /** Whether a daemon that was killed may have granted more over this connection. */
  isLost = false;

  /** Parked locks that their owner got again over this connection. */
  get taken(): readonly ParkedLock[] {
    return this.#taken;
  }

  granted(resource: Resource, { taken, used }: Unparked = NOTHING): void {
    // One lock after the other, each given back before the next is asked for, leaves nothing here.
    if (this.#granted.at(-1)?.holdings.length === 0) this.#granted.pop();
    if (this.#granted.length >= this.#room) {
      // What was released meanwhile does not matter any more.
      this.#granted = this.#granted.filter(({ holdings }) => holdings.length > 0);
      this.#room = Math.max(ROOM, 2 * this.#granted.length);
    }
    this.#granted.push(resource);
    if (taken !== undefined) this.#taken.push(taken);
    this.#used.push(...used);
  }

  /** Whether a lock was granted over this connection, and not refused another since. */
  has(resource: Resource): boolean {
    return this.#granted.includes(resource);
  }

  /** What was granted since the last refusal. */
  get held(): readonly Resource[] {
    return this.#granted.filter(({ holdings }) => holdings.length > 0);
  }

  /** Ids of what was granted, before the last refusal and since; what was released meanwhile is left out. */
  get ids(): { readonly refused: readonly number[]; readonly granted: readonly number[] } {
    const held = (resources: readonly Resource[]) =>
      resources.filter(({ holdings }) => holdings.length > 0).map(({ id }) => id);
    return { refused: held(this.#refused), granted: held(this.#granted) };
  }

  /** The trail of a connection that an earlier image had. */
  static of(refused: readonly Resource[], granted: readonly Resource[]): GrantTrail {
    const trail = new GrantTrail();
    trail.#refused.push(...refused);
    trail.#granted.push(...granted);
    return trail;
  }

  /** The connection was refused a lock. @returns uses of parked locks that were none */
  refused(): readonly ParkedLock[] {
    const used = this.#used;
    this.#used = [];
    this.#refused.push(...this.#granted);
    this.#granted = [];
    this.first = false;
    return used;
  }

  /** It may have been granted over this connection by a daemon that was killed, before the refusal. */
  mayHaveGranted(resource: Resource): void {
    this.#refused.push(resource);
  }

  /** The connection has ended. @returns what it was granted before it was refused something */
  end(): readonly Resource[] {
    this.#granted = [];
    this.#used = [];
    return this.#refused.splice(0);
  }
}
