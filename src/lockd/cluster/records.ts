import type { Owner } from "../lockspace/owner.ts";
import type { ProcessMark } from "../lockspace/owner_watch.ts";
import type { KeyValue } from "../../etcd/wire/transaction.ts";

/** Version of what is kept in etcd. */
const SCHEMA = 1;

/** What all hosts of a cluster agree upon. */
export interface MetaRecord {
  /** Names of the lock directories that are held for the cluster, sorted. */
  readonly spaces: readonly string[];
}

/** A host's membership, from one start of its kernel to the next. It stays until it is ended by a word. */
export interface SessionRecord {
  /** The host's id. */
  readonly host: string;
  /** The host's name, for people. */
  readonly name: string;
  /** The kernel's boot id. */
  readonly boot: string;
  /** Another one with each change by the host itself, so that it knows its own again. */
  readonly nonce: string;
  /** Absent while nobody has said anything of the host. */
  readonly fencing?: Fencing;
}

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
}

/** That a host was heard of a moment ago. It lives as long as a lease: it tells people, and no more. */
export interface HostRecord {
  readonly session: string;
  readonly boot: string;
  readonly name: string;
}

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

/** Something in etcd is not as it has to be. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** A record as etcd keeps it. */
export function encodeMeta({ spaces }: MetaRecord): string {
  return JSON.stringify({ schema: SCHEMA, spaces });
}

/** @throws RecordError when it is of a version that is not known, or none */
export function decodeMeta(entry: KeyValue): MetaRecord {
  const record = fieldsOf(entry);
  if (record["schema"] !== SCHEMA) {
    throw new RecordError(`${entry.key} has version ${record["schema"]}, and this daemon knows ${SCHEMA}`);
  }
  const { spaces } = record;
  if (!Array.isArray(spaces) || !spaces.every((space) => typeof space === "string")) {
    throw new RecordError(`${entry.key} has no list of spaces`);
  }
  return { spaces };
}

/** A record as etcd keeps it. */
export function encodeRecord(record: SessionRecord | HostRecord | LockHolder): string {
  return JSON.stringify(record);
}

/** @throws RecordError when it is none */
export function decodeSession(entry: KeyValue): SessionRecord {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  const fencing = record["fencing"];
  return {
    host: text("host"),
    name: text("name"),
    boot: text("boot"),
    nonce: text("nonce"),
    ...fencing === undefined ? {} : { fencing: decodeFencing(entry.key, fencing) },
  };
}

function decodeFencing(key: string, value: unknown): Fencing {
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
  };
}

/** @throws RecordError when it is none */
export function decodeHost(entry: KeyValue): HostRecord {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  return { session: text("session"), boot: text("boot"), name: text("name") };
}

/** @throws RecordError when it is none */
export function decodeHolder(entry: KeyValue): LockHolder {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  const number = (field: string) => numberOf(entry.key, record, field);
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

function fieldsOf({ key, value }: KeyValue): Readonly<Record<string, unknown>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch (error) {
    throw new RecordError(`${key} holds no record`, { cause: error });
  }
  if (typeof parsed !== "object" || parsed === null) throw new RecordError(`${key} holds no record`);
  return { ...parsed };
}

function textOf(key: string, record: Readonly<Record<string, unknown>>, field: string): string {
  const value = record[field];
  if (typeof value !== "string") throw new RecordError(`${key} has no text as its ${field}`);
  return value;
}

function numberOf(key: string, record: Readonly<Record<string, unknown>>, field: string): number {
  const value = record[field];
  if (typeof value !== "number") throw new RecordError(`${key} has no number as its ${field}`);
  return value;
}
