import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { fieldsOf, oneOf, textOf } from "./record_fields.ts";

/** What a host has put in since the cluster was closed. */
export interface EntryRecord {
  readonly session: string;
  readonly name: string;
  /** The {@link MetaRecord.round} that it belongs to. */
  readonly round: string;
  /**
   * "listed": what it had in etcd and has no more is gone from there; "settled": what it has is there too, as
   * far as no other host has it.
   */
  readonly state: "listed" | "settled";
}

/** @throws RecordError when it is none */
export function decodeEntry(entry: KeyValue): EntryRecord {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  const state = oneOf(entry.key, record, "state", ["listed", "settled"]);
  return { session: text("session"), name: text("name"), round: text("round"), state };
}
