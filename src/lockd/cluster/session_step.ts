import type { KeyValue } from "../../etcd/wire/transaction.ts";
import { decodeHost, decodeMeta, decodeSession } from "./records.ts";

/** How long a host that is not heard of counts as there, in seconds. */
export const HEARD_SECONDS = 10;

/** Who this host is. */
export interface HostIdentity {
  /** Unique in the cluster. */
  readonly id: string;
  readonly name: string;
  /** The kernel's boot id. */
  readonly boot: string;
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
  /** What this daemon has written into the session, or tried to; undefined: it has not joined yet. */
  readonly nonces: ReadonlySet<string> | undefined;
  /** Whether this host has locks from an earlier daemon that was a member. */
  readonly keeps: boolean;
}

/** What to do next to be a member. */
export type SessionStep =
  /** It cannot be one now. */
  | { readonly kind: "wait"; readonly reason: string }
  /** It must not be one before a person has looked. */
  | { readonly kind: "lost"; readonly reason: string }
  /** An earlier daemon of this boot has another session, of which the host has lost its note. */
  | { readonly kind: "other-session"; readonly session: string }
  /** There is no such cluster yet. */
  | { readonly kind: "found" }
  /** The session is written anew. @see ClusterSession */
  | { readonly kind: "bump"; readonly meta: number };

const EXCHANGED = "etcd does not know this host any more: it was restored, emptied or exchanged";

/**
 * Judges what etcd has of this host.
 *
 * @throws RecordError when it is nothing that this daemon understands
 */
export function nextStep(keys: SessionKeys, facts: SessionFacts): SessionStep {
  const { spaces, nonces, keeps } = facts;
  if (keys.meta === undefined) {
    return nonces === undefined && !keeps ? { kind: "found" } : { kind: "lost", reason: EXCHANGED };
  }
  const agreed = decodeMeta(keys.meta).spaces;
  if (agreed.join(" ") !== spaces.join(" ")) {
    return {
      kind: "wait",
      reason:
        `the other hosts lock ${agreed.join(", ")} for the cluster, and this one ${spaces.join(", ")}: ` +
        "make cluster_lockspaces alike",
    };
  }
  return ofAnotherSession(keys.host, facts) ?? ofOwnSession(keys.session, keys.meta.changedAt, facts);
}

function ofAnotherSession(
  key: KeyValue | undefined,
  { host, session, nonces }: SessionFacts,
): SessionStep | undefined {
  if (key === undefined) return undefined;
  const shown = decodeHost(key);
  if (shown.session === session) return undefined;
  if (shown.boot === host.boot && nonces === undefined) {
    return { kind: "other-session", session: shown.session };
  }
  return {
    kind: "wait",
    reason:
      `another one that calls itself ${host.id} ('${shown.name}') was heard of within ${HEARD_SECONDS} s: ` +
      "this host before it was started anew, or a host with the same id",
  };
}

function ofOwnSession(
  key: KeyValue | undefined,
  meta: number,
  { host, session, nonces, keeps }: SessionFacts,
): SessionStep {
  if (key === undefined) {
    return nonces === undefined && !keeps ? { kind: "bump", meta } : { kind: "lost", reason: EXCHANGED };
  }
  const record = decodeSession(key);
  if (record.host !== host.id || record.boot !== host.boot) {
    return { kind: "lost", reason: `session ${session} belongs to host ${record.host} ('${record.name}')` };
  }
  if (nonces !== undefined && !nonces.has(record.nonce)) {
    return {
      kind: "lost",
      reason: "somebody else writes this host's session: a copy of this host is running",
    };
  }
  return { kind: "bump", meta };
}
