import type { EntryRecord } from "./entry_record.ts";
import type { DutyRecord } from "./fencing_record.ts";
import type { HostRecord, SilenceRecord } from "./host_record.ts";
import type { LockHolder, PausedRecord } from "./lock_holder.ts";
import type { SessionRecord } from "./session_record.ts";

/** A record as etcd keeps it. */
export function encodeRecord(
  record:
    | SessionRecord
    | HostRecord
    | SilenceRecord
    | EntryRecord
    | LockHolder
    | PausedRecord
    | DutyRecord,
): string {
  return JSON.stringify(record);
}
