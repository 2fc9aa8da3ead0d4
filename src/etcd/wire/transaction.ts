/**
 * So many comparisons, and so many operations of either list, a transaction may have: etcd refuses more, by
 * its default of `--max-txn-ops`.
 */
export const MOST_OPERATIONS = 128;

/**
 * What etcd is asked: one transaction, which compares and then does one list of operations or the other. A
 * transaction of reads alone is a linearizable read. One without any operation is none: a single member
 * answers it, which may be behind. Source: etcd's API, service KV, call Txn, and its server.
 */
export interface Transaction {
  /** All have to hold for `success`. */
  readonly compare: readonly Compare[];
  readonly success: readonly KeyOperation[];
  readonly failure: readonly KeyOperation[];
}

/** One condition. */
export type Compare =
  /** The key's last change; 0: there is no such key. */
  | { readonly kind: "changed-at"; readonly key: string; readonly revision: number }
  | { readonly kind: "value"; readonly key: string; readonly value: string }
  /** No key begins so. */
  | { readonly kind: "none-below"; readonly prefix: string };

/** One operation. */
export type KeyOperation =
  | {
    readonly op: "put";
    readonly key: string;
    readonly value: string;
    /** Id of the lease that the key lives as long as; none: it stays until it is deleted. */
    readonly lease?: string;
  }
  | { readonly op: "delete"; readonly key: string }
  | { readonly op: "get"; readonly key: string }
  /** At most `limit` keys that begin with `prefix`, in their order. */
  | {
    readonly op: "list";
    readonly prefix: string;
    /** Only those behind it. */
    readonly after?: string;
    /** Only those before it, and itself. */
    readonly upTo?: string;
    readonly limit: number;
  }
  /** How many keys begin with `prefix`: etcd reads none of their values, and goes over all of them. */
  | { readonly op: "count"; readonly prefix: string };

/**
 * A key as it is. Where key or value is no UTF-8, as what somebody has written by hand, the bytes above 0x7f
 * are lone surrogates in it: such a text is not well-formed, and written again it is the same bytes.
 */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Revision of its last change. */
  readonly changedAt: number;
}

/** What came of one operation: keys of a read, nothing of the others. */
export interface OperationResult {
  readonly found: readonly KeyValue[];
  /** Whether there are more keys behind the last one of a list. */
  readonly more: boolean;
  /** How many keys there are, where they were counted. */
  readonly count?: number;
}

/** etcd's answer to a transaction. */
export interface TransactionResult {
  readonly succeeded: boolean;
  /** One for each operation of the list that was done. */
  readonly results: readonly OperationResult[];
  /** Which etcd it is, as its number in decimal. */
  readonly cluster: string;
  /** Its revision with this transaction in it. */
  readonly revision: number;
}
