import { ordinalOf } from "../../chassis/rpc/client_key.ts";
import type { JournalState } from "./journal_state.ts";
import type { StoredObject } from "./recovered.ts";
import { clientKind } from "./slots.ts";

/** The slots of everything that a journal says to be stored. */
export function recordedSlots(
  { locks, clients, dying }: Pick<JournalState, "locks" | "clients" | "dying">,
): StoredObject[] {
  const slots: StoredObject[] = [];
  for (const { record, slot } of locks.values()) {
    if (slot !== undefined) slots.push({ kind: "lock", id: record.id, index: slot });
  }
  for (const { key, slot } of clients.values()) {
    if (slot !== undefined) slots.push({ kind: clientKind(ordinalOf(key)), id: key, index: slot });
  }
  for (const [pid, { slot }] of dying) {
    if (slot !== undefined) slots.push({ kind: "dying holder", id: pid, index: slot });
  }
  return slots;
}
