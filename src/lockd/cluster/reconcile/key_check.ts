import type { Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { Resource } from "../../lockspace/resource.ts";
import {
  type Compare,
  MOST_OPERATIONS,
  type Transaction,
  type TransactionResult,
} from "../../../etcd/wire/transaction.ts";
import type { GrantedLocks } from "../locks/granted_locks.ts";
import type { LockTurns } from "../locks/lock_turns.ts";
import { CHANGED_BY_HAND } from "../session/doubts.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { ClusterName, ClusterNames } from "../keys/names.ts";
import { decodeHolder, holderOf } from "../keys/lock_holder.ts";
import { readOrWhy } from "../keys/record_fields.ts";
import type { ClusterSession } from "../session/session.ts";
import type { KeyLook } from "../session/session_proof.ts";
import {
  acquire,
  type ClusterLock,
  type Epoch,
  EPOCH_READS,
  epochReads,
  obstaclesOf,
  read,
  stillIn,
  whether,
} from "../keys/transactions.ts";

/** So many with one question: each lock has two keys that are compared. */
const AT_ONCE = MOST_OPERATIONS / 2;
/** So many with a proof: what an idle host with many locks costs is mostly these. */
const WITH_PROOF = AT_ONCE / 2;

/** A lock that is looked at. */
interface Checked {
  readonly path: string;
  readonly lock: ClusterLock;
}

/** What the check works with. */
export interface KeyCheckParts {
  readonly session: Pick<ClusterSession, "state" | "ask" | "doubt" | "moved">;
  readonly keys: ClusterKeys;
  readonly names: Pick<ClusterNames, "of">;
  readonly granted: Pick<GrantedLocks, "all" | "of" | "pathOf" | "drop">;
  readonly turns: Pick<LockTurns, "busy" | "inTurn" | "give" | "markOf">;
  readonly resources: () => Iterable<Resource>;
  /** Releases a lock with which no guest has gone on since it was paused. @returns whether it is one */
  readonly partWith: (path: string) => boolean;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  readonly observer: KeyCheckObserver;
}

/** Told of what somebody has done to this host's keys by hand. */
export interface KeyCheckObserver {
  /** A lock's key was gone from etcd, and is there again. */
  clusterKeyRestored(key: string): void;
  /** A key of this host's cannot be read: nobody gets a lock by it. Told once. @param wrong which, and why */
  clusterKeyUnreadable(wrong: string): void;
  clusterDoubtful(resource: Resource, reason: string): void;
}

/**
 * Looks whether etcd still has what this host holds. Nothing but a hand takes it away. What is
 * gone is put there again at once if nobody else has got it; else two hosts have one lock, and that is said.
 * A guest of this host that is paused, or will be, does not go on over what the other one has written.
 *
 * Some locks are looked at with each of the session's proofs, all of them in turn. Where something tells
 * that a key has gone (see KeyWatch) those that may be meant are looked at before: a few of them with one
 * question, and the next ones when it is answered, so that the proofs and the guests wait for none.
 */
export class KeyCheck {
  readonly #parts: KeyCheckParts;
  /** Paths that are still to be looked at in this round. */
  #left: string[] = [];
  /** Paths that are looked at before. */
  #sooner = new Set<string>();
  #hurrying = false;
  /** What was told of keys that cannot be read, by the path of their lock. */
  readonly #wrong = new Map<string, string>();

  constructor(parts: KeyCheckParts) {
    this.#parts = parts;
  }

  /** What the session's next proof is to look at; undefined: nothing. */
  look(): KeyLook | undefined {
    const { session, granted } = this.#parts;
    if (session.state.kind !== "live") return undefined;
    this.#hurry();
    if (this.#left.length === 0) this.#left = [...granted.all()].map(([path]) => path);
    return this.#lookAt(session.state.epoch, this.#left.splice(0, WITH_PROOF));
  }

  /** Keys of locks are said to have gone: it is looked whether they have. */
  suspect(keys: readonly string[]): void {
    const { granted } = this.#parts;
    for (const key of keys) {
      const path = granted.pathOf(key);
      if (path !== undefined) this.#sooner.add(path);
    }
    this.#hurry();
  }

  /** Keys have gone, and nothing tells which. */
  suspectAll(): void {
    for (const [path] of this.#parts.granted.all()) this.#sooner.add(path);
    this.#hurry();
  }

  /** What is looked at sooner, one question after the other. */
  #hurry(): void {
    const { session } = this.#parts;
    if (this.#hurrying || this.#sooner.size === 0 || session.state.kind !== "live") return;
    this.#hurrying = true;
    const paths = [...this.#sooner.values().take(AT_ONCE)];
    for (const path of paths) this.#sooner.delete(path);
    this.#compare(paths, (answered) => {
      this.#hurrying = false;
      if (answered) return this.#hurry();
      // The next look goes on with them.
      for (const path of paths) this.#sooner.add(path);
    });
  }

  /** Looks whether these are there. @param done gets whether etcd has answered */
  #compare(paths: readonly string[], done: (answered: boolean) => void): void {
    const { session } = this.#parts;
    if (session.state.kind !== "live") return done(false);
    const look = this.#lookAt(session.state.epoch, paths);
    if (look === undefined) return done(true);
    // Only compared: what is there is read when it is not what it was, which hardly ever happens.
    session.ask(whether(look.compare, look.first), (answer) => {
      if (answer.kind === "transaction") look.looked(answer.result.succeeded);
      done(answer.kind === "transaction");
    });
  }

  /** A look at those of these with which nothing is done just now; undefined: there is none. */
  #lookAt(epoch: Epoch, paths: readonly string[]): (KeyLook & { readonly first: string }) | undefined {
    const { granted, turns } = this.#parts;
    const checked = paths.flatMap((path): Checked[] => {
      const lock = granted.of(path);
      return lock !== undefined && !turns.busy(lock.key) ? [{ path, lock }] : [];
    });
    const [first] = checked;
    if (first === undefined) return undefined;
    return {
      first: first.lock.key,
      compare: checked.flatMap(({ lock }) => isThere(lock)),
      looked: (holds) => {
        if (!holds) this.#read(epoch, checked);
      },
    };
  }

  /** Something of these is not what it was. */
  #read(epoch: Epoch, checked: readonly Checked[]): void {
    const keys = checked.flatMap(({ lock }) => [lock.key, lock.own]);
    this.#parts.session.ask(read(...keys), (answer) => {
      if (answer.kind !== "transaction") return;
      checked.forEach(({ path, lock }, index) => {
        const [key, own] = answer.result.results.slice(2 * index).map(({ found }) => found[0]?.value);
        if (key !== lock.value || own !== lock.value) this.#mend(epoch, path, lock);
      });
    });
  }

  /** Puts back what nobody else has got, unless it is being given back meanwhile. */
  #mend(epoch: Epoch, path: string, lock: ClusterLock): void {
    const { session, keys, names, granted, turns, observer } = this.#parts;
    turns.inTurn(lock.key, (end) => {
      const name = names.of(path);
      if (granted.of(path) !== lock || name === undefined) return end();
      const change = (transaction: Transaction, otherwise: (result: TransactionResult) => void) =>
        session.ask(transaction, (answer) => {
          if (answer.kind !== "transaction") {
            // What may still come must not put a lock there that is given back meanwhile.
            if (answer.kind !== "refused" && answer.kind !== "full") session.doubt(reasonOf(answer));
            // The next look finds it as it is by then.
            return end();
          }
          if (!answer.result.succeeded) return otherwise(answer.result);
          this.#wrong.delete(path);
          observer.clusterKeyRestored(lock.key);
          end();
        });
      // Whoever has the lock may go on whatever paused guests there are.
      const { exclusive, sharers } = obstaclesOf(keys, name, keys.isShare(lock.key));
      change(list(epoch, lock), () =>
        change(acquire(epoch, lock, { exclusive, sharers }), ({ results }) => {
          if (!session.moved(epoch, results)) this.#changed(path, name, lock, results);
          end();
        }));
    });
  }

  /** Somebody has written something else there: another host's lock, or what is none, and then nobody's. */
  #changed(path: string, name: ClusterName, lock: ClusterLock, results: TransactionResult["results"]): void {
    const found = results.slice(EPOCH_READS).flatMap((each) => each.found);
    const holders = found.map((entry) => readOrWhy(() => decodeHolder(entry)));
    const [wrong] = holders;
    if (typeof wrong !== "string" || holders.some((holder) => typeof holder !== "string")) {
      return this.#lost(path, name, lock);
    }
    if (this.#wrong.get(path) !== wrong) this.#parts.observer.clusterKeyUnreadable(wrong);
    this.#wrong.set(path, wrong);
  }

  /** Others have it. A guest that is paused loses it; one that runs does not get it again after a pause. */
  #lost(path: string, name: ClusterName, lock: ClusterLock): void {
    const { granted, turns, resources, markOf, partWith, observer } = this.#parts;
    const resource = [...resources()].find((each) => each.path === path);
    const [holding] = resource?.holdings ?? [];
    // What is on its way out is marked when it is given back.
    if (resource === undefined || holding === undefined || resource.regrant === "leaving") return;
    if (partWith(path)) return;
    const { owner, since } = holding;
    const holder = holderOf(owner, markOf(owner), since);
    granted.drop(path);
    // There is nothing to be given but the entry in the list of what this host has: the mark is what counts.
    turns.give(lock, () => {}, turns.markOf(name, holder));
    observer.clusterDoubtful(resource, CHANGED_BY_HAND);
  }
}

function isThere({ key, own, value }: ClusterLock): Compare[] {
  return [{ kind: "value", key, value }, { kind: "value", key: own, value }];
}

/** Puts a lock that is there into the list of what this host has. */
function list(epoch: Epoch, { key, own, value }: ClusterLock): Transaction {
  return {
    compare: [...stillIn(epoch), { kind: "value", key, value }],
    success: [{ op: "put", key: own, value }],
    failure: epochReads(epoch),
  };
}
