import { Lockspace } from "../../../../src/lockd/lockspace/lockspace.ts";
import type { Holding } from "../../../../src/lockd/lockspace/owner.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { fileHandle } from "../../../support/file_handle.ts";

/** Uuid of every owner here. */
export const UUID = "6ba7b810-9dad-41d1-80b4-00000000002a";

/** A holding of the process `pid`, since 1000. */
export function holding(pid: number, name = "guest"): Holding {
  return { owner: { pid, name, uuid: UUID, id: 7 }, since: 1000 };
}

/** A lock; parts may be replaced. */
export function resource(parts: Partial<Resource> & { id: number }): Resource {
  const name = parts.name ?? `r${parts.id}`;
  const lockspace = parts.lockspace ?? "/ls";
  return {
    lockspace,
    name,
    path: lockspace === "" ? name : `${lockspace}/${name}`,
    handle: fileHandle(100 + parts.id, {
      identity: { devMajor: 8, devMinor: 1, inodeLow: parts.id, inodeHigh: 0 },
    }),
    shared: false,
    autocreate: false,
    holdings: [holding(42)],
    state: { kind: "held" },
    ...parts,
  };
}

/** What the programs need of a lock table with these locks in it. */
export function tableOf(resources: readonly Resource[], dying: readonly number[] = []) {
  const lockspaces = new Map([["", new Lockspace("")]]);
  for (const entry of resources) {
    const lockspace = lockspaces.get(entry.lockspace) ?? new Lockspace(entry.lockspace);
    lockspaces.set(entry.lockspace, lockspace);
    lockspace.resources.set(entry.name, entry);
  }
  return {
    lockspaces,
    isDying: (pid: number) => dying.includes(pid),
    settling: () => undefined,
    ownedBy: (pid: number) =>
      resources.filter(({ holdings }) => holdings.some(({ owner }) => owner.pid === pid)),
  };
}
