import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { HEARD_SECONDS } from "./cluster_times.ts";
import type { Seen } from "../host/membership_file.ts";
import type { Fencing } from "../keys/fencing_record.ts";
import { type DaemonMark, decodeHost } from "../keys/host_record.ts";
import { decodeMeta, type MetaRecord } from "../keys/meta_record.ts";
import { readOrWhy } from "../keys/record_fields.ts";
import { decodeSession, type MachineMark } from "../keys/session_record.ts";
import { LEFT_BEHIND, LEFT_OUT } from "./doubts.ts";
import { followingSession } from "../keys/session_id.ts";
import { COPIED, SAID_TO_BE_OFF } from "./lost_reasons.ts";

/** Who this host is. */
export interface HostIdentity {
  /** Unique in the cluster. */
  readonly id: string;
  readonly name: string;
  /** The kernel's boot id. */
  readonly boot: string;
  readonly daemon: DaemonMark;
  /** What a program has to know that fences it, as it is configured now; undefined: nothing. */
  readonly data?: () => string | undefined;
  /** By what the machine is known again that it is; undefined: nothing tells it from others. */
  readonly machine?: MachineMark;
}

/** What etcd has of this host, read at one revision. */
export interface SessionKeys {
  readonly meta: KeyValue | undefined;
  readonly host: KeyValue | undefined;
  readonly session: KeyValue | undefined;
}

/** What this host knows of itself. */
export interface SessionFacts {
  readonly host: HostIdentity;
  /** Names of the lock directories that it holds for the cluster, sorted. */
  readonly spaces: readonly string[];
  /** Id of its session. */
  readonly session: string;
  /** Whether this life of the daemon has joined with it. */
  readonly member: boolean;
  /** What this host has written into the session, or tried to, in any life; undefined: nobody knows. */
  readonly tried: ReadonlySet<string> | undefined;
  /** Whether this host has locks from an earlier daemon that was a member. */
  readonly keeps: boolean;
  /** What etcd was when this host has last written its session. */
  readonly seen: Seen | undefined;
  /** Why it is known already that etcd is not what it was. */
  readonly changed: string | undefined;
  /** Whether this host has told everybody that it is not what it was, and has not been a member since. */
  readonly told: boolean;
  /** Sessions that it had until it was fenced. */
  readonly fenced: ReadonlySet<string>;
  /** Whether a daemon of this very host has ended: see isEarlier() in daemon_mark.ts. */
  readonly isEarlier: (daemon: DaemonMark) => boolean;
}

/** A word by which a host has given up what it has, while its guests may run. */
export interface GivenUp {
  /** Why each of its locks is in doubt since. */
  readonly doubt: string;
  /** Revision at which that was said: who has got such a lock later has got it from this host. */
  readonly at: number;
}

/** What to do next to be a member. */
export type SessionStep =
  /** It cannot be one now. */
  | { readonly kind: "wait"; readonly reason: string }
  /** It must not be one before a person has looked. */
  | { readonly kind: "lost"; readonly reason: string; readonly givenUp?: GivenUp }
  /** An earlier daemon of this boot has another session, of which the host has lost its note. */
  | { readonly kind: "other-session"; readonly session: string }
  /** There is no such cluster yet. */
  | { readonly kind: "found" }
  /** etcd has lost something, and nobody has said so yet. `meta` is the revision of what is there. */
  | { readonly kind: "close"; readonly reason: string; readonly meta: number }
  /** Somebody has said for good that this host cannot write. It needs another session. */
  | { readonly kind: "fenced"; readonly fencing: Fencing }
  /** It cannot be one now, and is about to be fenced: it objects all the same. */
  | {
    readonly kind: "object";
    readonly reason: string;
    readonly fencing: Fencing;
    /** Revision of what is there. */
    readonly session: number;
  }
  /** The host has left with this session. */
  | { readonly kind: "left"; readonly givenUp: GivenUp }
  /** The session is written anew. @see ClusterSession */
  | { readonly kind: "bump"; readonly meta: MetaRecord; readonly metaAt: number };

const EXCHANGED = "etcd does not know this host any more: it was restored, emptied or exchanged";

/**
 * Judges what etcd has of this host. One that cannot read what all agree upon, as of another version, is not
 * admitted, but it lives.
 *
 * @throws RecordError when what etcd has of this host is nothing that this daemon understands
 */
export function nextStep(keys: SessionKeys, facts: SessionFacts): SessionStep {
  const { spaces } = facts;
  const behind = facts.told ? undefined : whatIsBehind(keys, facts);
  if (keys.meta === undefined) {
    return behind === undefined ? { kind: "found" } : { kind: "close", reason: behind, meta: 0 };
  }
  const { changedAt: metaAt } = keys.meta;
  const meta = agreedIn(keys.meta);
  if (typeof meta === "string") {
    // It may be of a newer version, and is not written over.
    if (behind !== undefined) return { kind: "wait", reason: meta };
  } else {
    const out = leftOut(meta, metaAt, facts);
    if (out !== undefined) return out;
    // Also when it is being recovered already: that may be what was saved, with what was put in until then.
    if (behind !== undefined) return { kind: "close", reason: behind, meta: metaAt };
  }
  const another = ofAnotherSession(keys.host, facts);
  if (another?.kind === "other-session") return another;
  const own = ofOwnSession(keys.session, facts);
  // Whatever was said of its session it has to know, also while it is not admitted.
  if (typeof meta === "string") return own ?? notAdmitted(keys, meta);
  if (meta.spaces.join(" ") !== spaces.join(" ")) {
    return own ?? notAdmitted(keys, differing(meta.spaces, spaces));
  }
  if (another !== undefined) return own === undefined ? notAdmitted(keys, another.reason) : another;
  return own ?? { kind: "bump", meta, metaAt };
}

/** What all hosts agree upon, or why this daemon cannot read it: one of another version has written it. */
function agreedIn(entry: KeyValue): MetaRecord | string {
  return readOrWhy(() => decodeMeta(entry));
}

/** What the operator has to know of a host that locks other things than all others. */
function differing(agreed: readonly string[], spaces: readonly string[]): string {
  return `the other hosts lock ${named(agreed)} for the cluster, and this one ${named(spaces)}: ` +
    "make cluster_lockspaces and cluster_devices alike. When they are what all hosts are to have, 'virtlockd cluster " +
    "open --expect HOST,... --directories' on this one has it so: docs/cluster-etcd.md";
}

function named(spaces: readonly string[]): string {
  return spaces.length === 0 ? "nothing" : spaces.join(", ");
}

/**
 * It cannot be a member now, as one that has other directories, is of another version, or whose place is
 * another one's. But it lives, and its session is its own: nobody may have its locks.
 */
function notAdmitted({ session }: SessionKeys, reason: string): SessionStep {
  const fencing = session === undefined ? undefined : decodeSession(session).fencing;
  return session === undefined || fencing === undefined
    ? { kind: "wait", reason }
    : { kind: "object", reason, fencing, session: session.changedAt };
}

/** What tells that etcd has lost something that this host has seen there. */
function whatIsBehind(
  { meta, session }: SessionKeys,
  { member, keeps, seen, changed }: SessionFacts,
): string | undefined {
  const was = member || keeps;
  if (changed !== undefined) return changed;
  if (was && (meta === undefined || session === undefined)) return EXCHANGED;
  if (seen === undefined) return undefined;
  const back = (what: string, from: number, to: number) =>
    `etcd has ${what} of revision ${to}, and this host has seen it at ${from}: it was restored from an earlier state`;
  if (meta !== undefined && meta.changedAt < seen.meta) {
    return back("what all hosts agree upon", seen.meta, meta.changedAt);
  }
  if (session !== undefined && session.changedAt < seen.session) {
    return back("this host's session", seen.session, session.changedAt);
  }
  return undefined;
}

/** A host that somebody has said to be off puts nothing back. */
function leftOut(
  { without, round }: MetaRecord,
  at: number,
  { host, member, keeps, seen }: SessionFacts,
): SessionStep | undefined {
  if (!without.includes(host.id) && !without.includes(host.name)) return undefined;
  if ((!member && !keeps) || seen?.round === round) return undefined;
  return {
    kind: "lost",
    reason: SAID_TO_BE_OFF,
    givenUp: { doubt: LEFT_OUT, at },
  };
}

function ofAnotherSession(
  key: KeyValue | undefined,
  { host, session, member, tried, fenced, isEarlier }: SessionFacts,
): Extract<SessionStep, { kind: "wait" | "other-session" }> | undefined {
  if (key === undefined) return undefined;
  const shown = decodeHost(key);
  if (shown.session === session || fenced.has(shown.session)) return undefined;
  // The same, of an earlier life of the daemon.
  if (followingSession(shown.session) === session) return undefined;
  const { daemon } = shown;
  // What it has written itself it has noted: then another session is that of a copy made of its memory.
  const lacksNote = !member && (tried === undefined || tried.size === 0);
  // Not by the boot alone: containers share that, and copies of one have the same id.
  if (shown.boot === host.boot && lacksNote && daemon !== undefined && isEarlier(daemon)) {
    return { kind: "other-session", session: shown.session };
  }
  return {
    kind: "wait",
    reason:
      `another one that calls itself ${host.id} ('${shown.name}') was heard of within ${HEARD_SECONDS} s: ` +
      "this host before it was started anew, or a host with the same id, as a copy of its disk has. " +
      "If that goes on, give each a cluster_host_id of its own",
  };
}

/** Undefined for a session that may be written. */
function ofOwnSession(
  key: KeyValue | undefined,
  { host, session, tried, told }: SessionFacts,
): SessionStep | undefined {
  if (key === undefined) return undefined;
  const record = decodeSession(key);
  if (record.left === true) return { kind: "left", givenUp: { doubt: LEFT_BEHIND, at: key.changedAt } };
  if (record.host !== host.id || record.boot !== host.boot) {
    return { kind: "lost", reason: `session ${session} belongs to host ${record.host} ('${record.name}')` };
  }
  if (record.fencing?.state === "fenced") return { kind: "fenced", fencing: record.fencing };
  // In an etcd that was restored it is what this host wrote before that was saved.
  if (tried !== undefined && !tried.has(record.nonce) && !told) {
    return { kind: "lost", reason: COPIED };
  }
  return undefined;
}
