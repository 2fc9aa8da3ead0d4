import { type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import type { JournalState } from "./journal_state.ts";
import type { OwnerRecord } from "./journaled_lock.ts";
import type { Recovered } from "./recovered.ts";

/**
 * Leaves out of a second journal's state what the first has brought back already, and whoever is dead by now:
 * a later process of the same pid may own locks in the first. Changes the state.
 *
 * @param mayLive false when the very process of an owner does not run any more
 */
export function leaveOut(
  state: JournalState,
  first: Recovered,
  mayLive: (owner: OwnerRecord) => boolean,
): void {
  const there = new Set(first.locks.map(({ record: { lockspace, name } }) => `${lockspace}\0${name}`));
  for (const [id, { record: { lockspace, name, holdings } }] of state.locks) {
    const living = holdings.filter(({ owner }) => mayLive(owner));
    holdings.splice(0, holdings.length, ...living);
    if (living.length === 0 || there.has(`${lockspace}\0${name}`)) state.locks.delete(id);
  }
  const watched = new Set<OwnerKey>([...first.dying, ...first.watched].map(({ key }) => key));
  for (const { record } of first.clients) if (record.owner !== undefined) watched.add(ownerKey(record.owner));
  for (const [key, { owner }] of state.clients) {
    if (owner === undefined || watched.has(ownerKey(owner)) || !mayLive(owner)) state.clients.delete(key);
  }
  for (const [pid, { key }] of state.dying) if (watched.has(key)) state.dying.delete(pid);
}

/**
 * What two journals brought back, as one.
 *
 * @param first its clients, slots and numbers stay as they are
 * @param second of a daemon without a store, after {@link leaveOut}: its locks get new numbers
 */
export function joinRecovered(first: Recovered, second: Recovered): Recovered {
  let nextResource = first.nextResource;
  const locks = second.locks.map(({ record, handle }) => ({
    record: { ...record, id: nextResource++ },
    handle,
  }));
  const owners = new Set(
    first.locks.flatMap(({ record: { holdings } }) => holdings.map(({ owner }) => ownerKey(owner))),
  );
  return {
    ...first,
    lockspaces: [...new Set([...first.lockspaces, ...second.lockspaces])],
    locks: [...first.locks, ...locks],
    dying: [...first.dying, ...second.dying],
    parked: [...first.parked, ...second.parked],
    watched: [...first.watched, ...second.watched],
    gone: [...first.gone, ...second.gone.filter(({ key }) => !owners.has(key))],
    nextResource,
    nextClient: first.nextClient.map((id, ordinal) => Math.max(id, second.nextClient[ordinal] ?? 1)),
    findings: [...first.findings, ...second.findings],
  };
}
