import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { fieldsOf, numberOf, RecordError, textOf } from "./record_fields.ts";

/**
 * What somebody has said of a host. It is final when it is `fenced`: the host cannot write any more until the
 * guests are gone that it had, and its locks may be taken. `condemned` says that this is about to be said;
 * the host takes it back by writing its session anew.
 */
export interface Fencing {
  readonly state: "condemned" | "fenced";
  /** Who has said so. */
  readonly by: string;
  /** On which machine. */
  readonly from: string;
  /** Unix milliseconds. */
  readonly at: number;
  /** The program whose success is the word; absent: a person has given it, or a reboot. */
  readonly command?: string;
  /** The kernel's boot id of the next start of that very host, which says so of this one. */
  readonly boot?: string;
}

/** Who fences a host now, so that others need not: a key with a lease. It guards nothing. */
export interface DutyRecord {
  /** Name of the host that does it. */
  readonly by: string;
  /** Another text each time. */
  readonly nonce: string;
}

export function decodeFencing(key: string, value: unknown): Fencing {
  if (typeof value !== "object" || value === null) {
    throw new RecordError(`${key} has no record of its fencing`);
  }
  const record = { ...value };
  const state = textOf(key, record, "state");
  // What is not known must not pass for anything.
  if (state !== "condemned" && state !== "fenced") {
    throw new RecordError(`${key} is ${state}, which this program does not know`);
  }
  return {
    state,
    by: textOf(key, record, "by"),
    from: textOf(key, record, "from"),
    at: numberOf(key, record, "at"),
    ..."command" in record ? { command: textOf(key, record, "command") } : {},
    ..."boot" in record ? { boot: textOf(key, record, "boot") } : {},
  };
}

/** @throws RecordError when it is none */
export function decodeDuty(entry: KeyValue): DutyRecord {
  const record = fieldsOf(entry);
  return { by: textOf(entry.key, record, "by"), nonce: textOf(entry.key, record, "nonce") };
}
