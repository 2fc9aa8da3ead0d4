import { compareTexts } from "../../../base/lists.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import { decodeName } from "../../cluster/keys/names.ts";
import { decodeHolder } from "../../cluster/keys/lock_holder.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import type { HostEntry } from "./known_hosts.ts";
import { type Reading, strictly } from "./unreadable_keys.ts";

/** A lock as etcd has it: an entry of `cluster locks --json`, see docs/json.md. */
export interface ClusterLockEntry {
  /** The cluster's name of the lock directory. */
  readonly space: string;
  /** Name of the resource. */
  readonly name: string;
  readonly mode: "exclusive" | "shared";
  readonly domain: string;
  readonly uuid: string;
  readonly pid: number;
  readonly sinceMs: number;
  /** Name of the host; "" when its session is not there. */
  readonly host: string;
  readonly session: string;
  /** How the host is doing; `unknown`: its session is not there. */
  readonly state: HostEntry["state"] | "unknown";
}

/** A lock with its key. */
export interface KnownLock extends ClusterLockEntry {
  readonly entry: KeyValue;
}

/** What is shown of a lock. */
export function lockEntry({ entry: _, ...shown }: KnownLock): ClusterLockEntry {
  return shown;
}

/**
 * Every lock of the cluster, by directory and name. What is shared has an entry for each host.
 *
 * @param read how each is read: by default what cannot be is an error
 * @throws CommandError; RecordError for what is no lock
 */
export function knownLocks(
  questions: Pick<EtcdQuestions, "list">,
  keys: ClusterKeys,
  sessions: readonly HostEntry[],
  read: Reading = strictly,
): KnownLock[] {
  const hosts = new Map(sessions.map((host) => [host.session, host]));
  const entries = (prefix: string, mode: ClusterLockEntry["mode"]) =>
    questions.list(prefix).flatMap((entry): KnownLock[] => {
      const { space, name } = keys.nameOf(entry.key);
      const holder = read(() => decodeHolder(entry));
      if (holder === undefined) return [];
      const { session, domain, uuid, pid, since } = holder;
      const host = hosts.get(session);
      return [{
        space,
        name: decodeName(name),
        mode,
        domain,
        uuid,
        pid,
        sinceMs: since,
        host: host?.name ?? "",
        session,
        state: host?.state ?? "unknown",
        entry,
      }];
    });
  return [...entries(keys.exclusives, "exclusive"), ...entries(keys.shares, "shared")].sort((a, b) =>
    compareTexts(a.space, b.space) || compareTexts(a.name, b.name) || compareTexts(a.host, b.host)
  );
}
