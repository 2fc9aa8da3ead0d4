import { type Slot, SLOT_KINDS, type SlotKind } from "./slots.ts";

/** Name of the journal's memory in the store. */
export const JOURNAL_NAME = "journal";

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/**
 * Name of a slot in the store: kind and index in base 64, as short as can be. The service manager's own rules
 * for names are printable ASCII without a colon (sd_pid_notify_with_fds(3)).
 */
export function slotName({ kind, index }: Slot): string {
  let number = index * SLOT_KINDS.length + SLOT_KINDS.indexOf(kind);
  let name = "";
  do {
    name = DIGITS.charAt(number % DIGITS.length) + name;
    number = Math.floor(number / DIGITS.length);
  } while (number > 0);
  return name;
}

/** The slot that a name stands for; undefined when it is no name of a slot. */
export function parseSlot(name: string): Slot | undefined {
  if (!/^[A-Za-z0-9_-]{1,5}$/.test(name)) return undefined;
  let number = 0;
  for (const digit of name) number = number * DIGITS.length + DIGITS.indexOf(digit);
  const kind = SLOT_KINDS[number % SLOT_KINDS.length] as SlotKind;
  const slot = { kind, index: Math.floor(number / SLOT_KINDS.length) };
  return slotName(slot) === name ? slot : undefined;
}
