import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { fieldsOf, oneOf, RecordError, textOf, textsOf } from "./record_fields.ts";

/**
 * Version of what is kept in etcd. Another one shuts out each host that does not know it until all are
 * upgraded (docs/cluster-etcd.md, "A new version of virtlockd"). It is not needed for a field that older
 * versions may overlook, and leave out when they write a record anew.
 */
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
  /** Why it has to be recovered, or was closed for its directories; "" otherwise. */
  readonly why: string;
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
