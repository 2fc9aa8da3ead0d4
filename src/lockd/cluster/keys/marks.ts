import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { decodePaused, type LockHolder, type PausedRecord } from "./lock_holder.ts";
import { encodeRecord } from "./records.ts";
import { isSameStart } from "./session_id.ts";
import type { ChangedMark, ClusterLock, Marks } from "./transactions.ts";

/** Stands for whoever may have had a lock, where nobody knows any more who it was. */
const UNKNOWN_DOMAIN = "(not known any more)";

/** A mark that says that somebody has had the lock, though nobody knows who. */
export function asUsed({ key, own, value }: ClusterLock): ClusterLock {
  const mark = decodePaused({ key, value });
  const used = { session: mark.session, domain: UNKNOWN_DOMAIN, uuid: "", pid: 0, start: 0, since: 0 };
  return { key, own, value: encodeRecord({ ...mark, used }) };
}

/**
 * A mark in the place of one that was taken away for a guest that goes on, and has not: it says what that
 * said, also where the guest was let go on in spite of it.
 */
export function asBefore(mark: ClusterLock, before: KeyValue): ClusterLock {
  const { used } = decodePaused(before);
  if (used === undefined) return mark;
  return { ...mark, value: encodeRecord({ ...decodePaused(mark), used }) };
}

/** What marks of paused guests mean for one that takes their lock. */
export type Met =
  /** @see Marks; undefined: there is none */
  | { readonly kind: "marks"; readonly marks: Marks | undefined }
  /** It is paused itself, and another one has had the lock meanwhile. */
  | { readonly kind: "used"; readonly by: NonNullable<PausedRecord["used"]> };

/**
 * Goes over the marks of guests that were paused when others got their lock: each is told that somebody has
 * it now. Guests are compared by host and process, not by domain: a guest that was moved, ran elsewhere and
 * ended there must not go on where it came from.
 *
 * @param resumed whether one that is paused itself is to be refused when another one has had the lock
 * @param ownOf the entry of a mark in the list of what a session has
 * @throws RecordError when a mark is none
 */
export function goOver(
  seen: readonly KeyValue[],
  taker: LockHolder,
  resumed: () => boolean,
  ownOf: (session: string, mark: string) => string,
): Met {
  if (seen.length === 0) return { kind: "marks", marks: undefined };
  const changed: ChangedMark[] = [];
  const dropped: { key: string; own: string }[] = [];
  const { attempt: _, ...used } = taker;
  for (const entry of seen) {
    const mark = decodePaused(entry);
    if (!isSame(mark, taker)) {
      changed.push({ key: entry.key, before: entry.value, after: encodeRecord({ ...mark, used }) });
      continue;
    }
    if (mark.used !== undefined && resumed()) return { kind: "used", by: mark.used };
    dropped.push({ key: entry.key, own: ownOf(mark.session, entry.key) });
  }
  return { kind: "marks", marks: { seen, changed, dropped } };
}

/** Whether two are one process of one host since its start; where nothing tells the process, one domain. */
function isSame(one: LockHolder, other: LockHolder): boolean {
  return isSameStart(one.session, other.session) && one.pid === other.pid && one.start === other.start &&
    (one.start !== 0 || one.uuid === other.uuid);
}
