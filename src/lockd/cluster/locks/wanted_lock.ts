import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { ForeignHolder } from "../../lockspace/refusal.ts";
import type { HolderFacts, LockHolder } from "../keys/lock_holder.ts";
import type { ClusterName } from "../keys/names.ts";
import type { ChangedMark, ClusterLock, Marks } from "../keys/transactions.ts";
import type { AskLimit } from "./ask_limit.ts";
import type { NamedHolder } from "./holder_names.ts";

/** What is asked for. */
export interface Wanted {
  readonly name: ClusterName;
  readonly shared: boolean;
  readonly holder: HolderFacts;
  /** Whether it is refused to a guest that was paused, when another one has had it meanwhile. */
  readonly resumed: () => boolean;
  /** How long who asks waits for etcd. */
  readonly limit: AskLimit;
}

/** What came of an ask for a lock. */
export type Taken =
  | {
    readonly kind: "taken";
    readonly lock: ClusterLock;
    /** Marks of paused guests that say now that who has taken it may write. */
    readonly changed: readonly ChangedMark[];
  }
  | { readonly kind: "held"; readonly by: ForeignHolder }
  /** Who asks was paused, and another one has had the lock meanwhile. */
  | { readonly kind: "used"; readonly by: NamedHolder }
  /** Nobody is known to hold it, but it could not be had. */
  | { readonly kind: "failed"; readonly reason: string };

/** Why a lock was not taken. */
export type NotTaken = Exclude<Taken, { kind: "taken" }>;

/** A lock that was tried to be had. */
export interface TriedLock extends ClusterLock {
  readonly marks?: Marks | undefined;
  /** It takes the place of what etcd had for the same process, which may be writing. */
  readonly again?: true;
}

/** A lock as etcd has it. */
export interface FoundLock {
  readonly entry: KeyValue;
  readonly holder: LockHolder;
}
