import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { ClusterKeys } from "../../cluster/keys.ts";
import { decodeHost, decodeSession, type Fencing } from "../../cluster/records.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";

/** A host's session as etcd has it: an entry of `cluster hosts --json`, see docs/json.md. */
export interface HostEntry {
  /** Id of the host. */
  readonly host: string;
  readonly name: string;
  readonly session: string;
  readonly boot: string;
  readonly state: "live" | "silent" | "left" | Fencing["state"];
  readonly fencing?: FencingEntry;
}

/** Who has fenced a host. */
export interface FencingEntry {
  readonly by: string;
  readonly from: string;
  readonly atMs: number;
}

/** A session with its key. */
export interface KnownSession extends HostEntry {
  readonly entry: KeyValue;
}

/**
 * Every session of the cluster, by the host's name; of one host the live ones come first.
 *
 * @throws CommandError; RecordError for what is no session
 */
export function knownSessions(questions: Pick<EtcdQuestions, "list">, keys: ClusterKeys): KnownSession[] {
  const heard = new Set(questions.list(keys.hosts).map((entry) => decodeHost(entry).session));
  return questions.list(keys.sessions).map((entry): KnownSession => {
    const { host, name, boot, fencing, left } = decodeSession(entry);
    const session = entry.key.slice(keys.sessions.length);
    const state = fencing?.state ?? (left === true ? "left" : heard.has(session) ? "live" : "silent");
    const said = fencing === undefined
      ? {}
      : { fencing: { by: fencing.by, from: fencing.from, atMs: fencing.at } };
    return { host, name, session, boot, state, ...said, entry };
  }).sort((a, b) =>
    compare(a.name, b.name) || compare(a.host, b.host) || ORDER.indexOf(a.state) - ORDER.indexOf(b.state) ||
    compare(a.session, b.session)
  );
}

const ORDER: readonly HostEntry["state"][] = ["live", "silent", "condemned", "fenced", "left"];

/** What is shown of a session. */
export function hostEntry({ entry: _, ...shown }: KnownSession): HostEntry {
  return shown;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
