import type { KeyOperation, Transaction } from "../../../src/etcd/wire/transaction.ts";

/** Where other hosts look for a lock. */
const LOCK = /^\/virtlockd\/[^/]+\/(lock|share)\//;

/** Whether a transaction takes a lock. */
export function isAcquire(transaction: Transaction): boolean {
  return changesLock(transaction, "put");
}

/** Whether a transaction gives a lock back. */
export function isRelease(transaction: Transaction): boolean {
  return changesLock(transaction, "delete");
}

/** The key of the lock comes first. */
function changesLock({ success: [first] }: Transaction, op: KeyOperation["op"]): boolean {
  return first !== undefined && first.op === op && "key" in first && LOCK.test(first.key);
}
