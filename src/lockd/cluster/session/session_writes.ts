import type { Transaction } from "../../../etcd/wire/transaction.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { encodeMeta, type MetaRecord } from "../keys/meta_record.ts";
import { encodeRecord } from "../keys/records.ts";
import type { SessionRecord } from "../keys/session_record.ts";
import type { HostIdentity } from "./session_step.ts";
import { type Epoch, stillIn } from "../keys/transactions.ts";

/** Revisions at which a session, and what else it depends on, were last changed; 0: there is none. */
export interface WrittenAt {
  readonly session: number;
  /** What all agree upon. */
  readonly meta: number;
  /** That the host is heard of: of two that call themselves alike one is too late. */
  readonly host: number;
}

/** What is written into a session anew. */
export interface WrittenSession {
  readonly session: string;
  readonly host: HostIdentity;
  /** Another text each time. */
  readonly mark: string;
  /** How many locks its guests have of which others have got hold. */
  readonly lost: number;
  /** Of what tells that the host is heard of. */
  readonly lease: string;
}

/** Writes what all agree upon. @param before revision of what is there; 0: nothing is */
export function agreement(keys: Pick<ClusterKeys, "meta">, before: number, meta: MetaRecord): Transaction {
  return {
    compare: [{ kind: "changed-at", key: keys.meta, revision: before }],
    success: [{ op: "put", key: keys.meta, value: encodeMeta(meta) }],
    failure: [],
  };
}

/** Writes a session anew, which makes every change void that compares its revision. */
export function bump(
  keys: Pick<ClusterKeys, "meta" | "session" | "host" | "silence">,
  before: WrittenAt,
  { session, host, mark, lost, lease }: WrittenSession,
): Transaction {
  const { id, name, boot, daemon } = host;
  const record = recordOf(host, mark, lost);
  return {
    compare: [
      { kind: "changed-at", key: keys.session(session), revision: before.session },
      { kind: "changed-at", key: keys.meta, revision: before.meta },
      { kind: "changed-at", key: keys.host(id), revision: before.host },
    ],
    success: [
      { op: "put", key: keys.session(session), value: encodeRecord(record) },
      { op: "put", key: keys.host(id), value: encodeRecord({ session, boot, name, daemon }), lease },
      // It is heard of again.
      { op: "delete", key: keys.silence(session) },
    ],
    failure: [],
  };
}

/**
 * Says in a session that its daemon is stopped in order, and that its guests may run on: nobody has the host
 * fenced then but by his own word.
 */
export function quieten(
  epoch: Epoch,
  { host, mark, lost }: Pick<WrittenSession, "host" | "mark" | "lost">,
): Transaction {
  const value = encodeRecord({ ...recordOf(host, mark, lost), quiet: true });
  return {
    compare: stillIn(epoch),
    success: [{ op: "put", key: epoch.sessionKey, value }],
    failure: [],
  };
}

/**
 * Takes back what was said of a session that cannot be a member now, because another one has its host's
 * place: it lives, and nobody may have its locks.
 *
 * @param before revision of what is there
 */
export function objectTo(
  key: string,
  before: number,
  { host, mark, lost }: Pick<WrittenSession, "host" | "mark" | "lost">,
): Transaction {
  return {
    compare: [{ kind: "changed-at", key, revision: before }],
    success: [{ op: "put", key, value: encodeRecord(recordOf(host, mark, lost)) }],
    failure: [],
  };
}

function recordOf(
  { id, name, boot, data: dataOf, machine }: HostIdentity,
  nonce: string,
  lost: number,
): SessionRecord {
  const data = dataOf?.();
  return {
    host: id,
    name,
    boot,
    nonce,
    ...lost === 0 ? {} : { lost },
    ...data === undefined ? {} : { data },
    ...machine === undefined ? {} : { machine },
  };
}
