import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { fieldsOf, numberOf, RecordError, textOf } from "./record_fields.ts";

/** A daemon's process, as those of its own place know it. */
export interface DaemonMark {
  /** Hosts that share a kernel, and so its boot id, are told apart by it: see daemonMark(). */
  readonly place: string;
  readonly pid: number;
  /** When it started, in clock ticks since boot; 0 when unknown. */
  readonly start: number;
}

/**
 * That a host was heard of a moment ago. It lives as long as a lease, and is evidence against one thing only:
 * that another one that calls itself so is this host.
 */
export interface HostRecord {
  readonly session: string;
  readonly boot: string;
  readonly name: string;
  /** Absent in one of an older version. */
  readonly daemon?: DaemonMark;
}

/** That nothing is heard of a host. */
export interface SilenceRecord {
  /** When somebody has noticed that, Unix milliseconds. */
  readonly since: number;
}

/** @throws RecordError when it is none */
export function decodeHost(entry: KeyValue): HostRecord {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  const { daemon } = record;
  return {
    session: text("session"),
    boot: text("boot"),
    name: text("name"),
    ...daemon === undefined ? {} : { daemon: decodeDaemon(entry.key, daemon) },
  };
}

function decodeDaemon(key: string, value: unknown): DaemonMark {
  if (typeof value !== "object" || value === null) throw new RecordError(`${key} has no mark of its daemon`);
  const record = { ...value };
  return {
    place: textOf(key, record, "place"),
    pid: numberOf(key, record, "pid"),
    start: numberOf(key, record, "start"),
  };
}

/** @throws RecordError when it is none */
export function decodeSilence(entry: KeyValue): SilenceRecord {
  return { since: numberOf(entry.key, fieldsOf(entry), "since") };
}
