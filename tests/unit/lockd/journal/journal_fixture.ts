import type { JournaledLock } from "../../../../src/lockd/journal/journaled_lock.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import type { HoldingRecord, OwnerRecord } from "../../../../src/lockd/journal/journaled_lock.ts";

/** An owner for tests. */
export function owner(pid: number, start = 1000 + pid): OwnerRecord {
  return { pid, name: `guest-${pid}`, uuid: "6ba7b810-9dad-41d1-80b4-000000000001", id: pid, start };
}

/** A holding for tests. */
export function holding(pid: number): HoldingRecord {
  return { owner: owner(pid), since: 1_700_000_000_000 };
}

/** What is to be different in a lock of a test. */
export type LockParts = Partial<JournaledLock["record"] & Omit<JournaledLock, "record">>;

/** A lock as a journal has it, in the slot of its number. */
export function journaled(id: number, { lock = "ofd", slot = id, ...parts }: LockParts = {}): JournaledLock {
  const record = {
    id,
    lockspace: "/leases",
    name: `r${id}`,
    path: `/leases/r${id}`,
    shared: false,
    autocreate: true,
    holdings: [holding(7)],
    state: { kind: "held" },
    ...parts,
  } as const;
  return { record, lock, slot };
}

/** The operation that grants it. */
export function grant(id: number, pid = 7, parts: LockParts = {}): Operation {
  return { op: "grant", ...journaled(id, { holdings: [holding(pid)], ...parts }) };
}
