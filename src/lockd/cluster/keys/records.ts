import type { Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";

/** Version of what is kept in etcd. */
const SCHEMA = 2;

/**
 * Whether anything new may be locked in a cluster: while it is made of hosts on which guests run already, or
 * etcd has lost something, each host puts the locks into it that it has, and no more.
 */
export type ClusterPhase = "forming" | "open" | "recovering";

/** What all hosts of a cluster agree upon. */
export interface MetaRecord {
  /** Names of the lock directories that are held for the cluster, sorted. */
  readonly spaces: readonly string[];
  readonly phase: ClusterPhase;
  /** Another text each time that hosts have to put their locks in again. */
  readonly round: string;
  /** Ids or names of the hosts that have to have done so before it opens; empty: nobody has said which. */
  readonly expect: readonly string[];
  /** Those that somebody has said to be off, when etcd was recovered: they put nothing back. */
  readonly without: readonly string[];
  /** Why it has to be recovered; "" when it has not. */
  readonly why: string;
}

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
  /** How many locks its guests have of which others have got hold, as after it was fenced; absent: none. */
  readonly lost?: number;
  /** That the host has left the cluster: this session is never written again. */
  readonly left?: true;
  /** The host was fenced, and nobody wants to see it any more. */
  readonly removed?: true;
  /** Its daemon was stopped in order while guests had locks: they may run on. It is never fenced unasked. */
  readonly quiet?: true;
  /** What the program that fences has to know of the host: `cluster_fence_data`; absent: nothing. */
  readonly data?: string;
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
  /** The program whose success is the word; absent: a person has given it. */
  readonly command?: string;
}

/** Who fences a host now, so that others need not: a key with a lease. It guards nothing. */
export interface DutyRecord {
  /** Name of the host that does it. */
  readonly by: string;
  /** Another text each time. */
  readonly nonce: string;
}

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

/** Something in etcd is not as it has to be. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** What a record says; undefined for one that cannot be read, which says nothing. */
export function readable<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    return undefined;
  }
}

/** A record as etcd keeps it. */
export function encodeMeta(meta: MetaRecord): string {
  return JSON.stringify({ schema: SCHEMA, ...meta });
}

/** @throws RecordError when it is of a version that is not known, or none */
export function decodeMeta(entry: KeyValue): MetaRecord {
  const record = fieldsOf(entry);
  if (record["schema"] !== SCHEMA) {
    throw new RecordError(`${entry.key} has version ${record["schema"]}, and this daemon knows ${SCHEMA}`);
  }
  const texts = (field: string) => textsOf(entry.key, record, field);
  const phase = oneOf(entry.key, record, "phase", ["forming", "open", "recovering"]);
  return {
    spaces: texts("spaces"),
    phase,
    round: textOf(entry.key, record, "round"),
    expect: texts("expect"),
    without: texts("without"),
    why: textOf(entry.key, record, "why"),
  };
}

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
    ...record["removed"] === true ? { removed: true } : {},
    ...record["lost"] === undefined ? {} : { lost: numberOf(entry.key, record, "lost") },
    ...record["left"] === true ? { left: true } as const : {},
    ...record["quiet"] === true ? { quiet: true } as const : {},
    ...record["data"] === undefined ? {} : { data: text("data") },
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
    ..."command" in record ? { command: textOf(key, record, "command") } : {},
  };
}

/** @throws RecordError when it is none */
export function decodeDuty(entry: KeyValue): DutyRecord {
  const record = fieldsOf(entry);
  return { by: textOf(entry.key, record, "by"), nonce: textOf(entry.key, record, "nonce") };
}

/** @throws RecordError when it is none */
export function decodeSilence(entry: KeyValue): SilenceRecord {
  return { since: numberOf(entry.key, fieldsOf(entry), "since") };
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
export function decodeEntry(entry: KeyValue): EntryRecord {
  const record = fieldsOf(entry);
  const text = (field: string) => textOf(entry.key, record, field);
  const state = oneOf(entry.key, record, "state", ["listed", "settled"]);
  return { session: text("session"), name: text("name"), round: text("round"), state };
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

function fieldsOf({ key, value }: Pick<KeyValue, "key" | "value">): Readonly<Record<string, unknown>> {
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

function textsOf(key: string, record: Readonly<Record<string, unknown>>, field: string): string[] {
  const value = record[field];
  if (!Array.isArray(value) || !value.every((each) => typeof each === "string")) {
    throw new RecordError(`${key} has no list of texts as its ${field}`);
  }
  return value;
}

function oneOf<T extends string>(
  key: string,
  record: Readonly<Record<string, unknown>>,
  field: string,
  known: readonly T[],
): T {
  const value = textOf(key, record, field);
  const found = known.find((each) => each === value);
  if (found === undefined) throw new RecordError(`${key} has '${value}' as its ${field}, which is not known`);
  return found;
}

function numberOf(key: string, record: Readonly<Record<string, unknown>>, field: string): number {
  const value = record[field];
  if (typeof value !== "number") throw new RecordError(`${key} has no number as its ${field}`);
  return value;
}
