import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import { fieldsOf, numberOf, RecordError, textOf } from "./record_fields.ts";

/** Who holds a lock. */
export interface LockHolder {
  /** Of the host that holds it. */
  readonly session: string;
  /** Another one with each try to get it. */
  readonly attempt: string;
  readonly domain: string;
  readonly uuid: string;
  /** Of its process, as the daemon of its host sees it. */
  readonly pid: number;
  /** When the process started, in clock ticks since boot; 0 when unknown. */
  readonly start: number;
  /** Unix milliseconds. */
  readonly since: number;
}

/** A guest that was paused when its lock was given to somebody else. */
export interface PausedRecord extends LockHolder {
  /** Who had the lock last since then, and may have written to the disk. */
  readonly used?: Omit<LockHolder, "attempt">;
}

/** The part of it that is known before a host asks etcd. */
export type HolderFacts = Omit<LockHolder, "session" | "attempt">;

/**
 * Who holds a lock, as etcd is told: by the process as this host's daemon sees it, for only by that it is
 * known again, also that of a container.
 *
 * @param since Unix milliseconds
 */
export function holderOf({ name, uuid }: Owner, { pid, start }: ProcessMark, since: number): HolderFacts {
  return { domain: name, uuid, pid, start, since };
}

/** @throws RecordError when it is none */
export function decodeHolder(entry: Pick<KeyValue, "key" | "value">): LockHolder {
  return holderIn(entry.key, fieldsOf(entry));
}

/** @throws RecordError when it is none */
export function decodePaused(entry: Pick<KeyValue, "key" | "value">): PausedRecord {
  const record = fieldsOf(entry);
  const { used } = record;
  const holder = holderIn(entry.key, record);
  if (used === undefined) return holder;
  if (typeof used !== "object" || used === null) {
    throw new RecordError(`${entry.key} does not say who used it`);
  }
  return { ...holder, used: holderIn(entry.key, { attempt: "", ...used }) };
}

function holderIn(key: string, record: Readonly<Record<string, unknown>>): LockHolder {
  const text = (field: string) => textOf(key, record, field);
  const number = (field: string) => numberOf(key, record, field);
  return {
    session: text("session"),
    attempt: text("attempt"),
    domain: text("domain"),
    uuid: text("uuid"),
    pid: number("pid"),
    start: number("start"),
    since: number("since"),
  };
}
