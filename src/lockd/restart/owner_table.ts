import type { Owner } from "../lockspace/owner.ts";

/** Every owner once: a guest has many locks, and each of its holdings would repeat its name and uuid. */
export class OwnerTable {
  readonly all: Owner[] = [];
  readonly #byPid = new Map<number, number[]>();

  /** Place of an owner in the table, which it gets when it has none. */
  indexOf(owner: Owner): number {
    const known = this.#byPid.get(owner.pid);
    const index = known?.find((candidate) => sameOwner(this.all[candidate] as Owner, owner));
    if (index !== undefined) return index;
    const { pid, name, uuid, id, namespace, hostPid } = owner;
    const place = { ...(namespace === undefined ? {} : { namespace }), ...(hostPid ? { hostPid } : {}) };
    const next = this.all.push({ pid, name, uuid, id, ...place }) - 1;
    if (known === undefined) this.#byPid.set(pid, [next]);
    else known.push(next);
    return next;
  }
}

function sameOwner(a: Owner, b: Owner): boolean {
  return a === b || a.id === b.id && a.name === b.name && a.uuid === b.uuid &&
      a.namespace === b.namespace && a.hostPid === b.hostPid;
}
