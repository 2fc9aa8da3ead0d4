import { invariant } from "../../src/base/invariant.ts";
import type { Answer, Question } from "../../src/etcd/wire/link_messages.ts";
import {
  type Compare,
  type KeyOperation,
  type KeyValue,
  MOST_OPERATIONS,
  type OperationResult,
  type Transaction,
  type TransactionResult,
} from "../../src/etcd/wire/transaction.ts";

/** What is left out of a transaction, to see whether that is noticed. */
export type Crippled =
  | "none"
  /** Changes do not rely on the session: a bump makes nothing void. */
  | "no-epoch"
  /** A release deletes whatever is there. */
  | "release-unseen"
  /** Locks go with the lease of a host that is not heard of. */
  | "lease-is-proof"
  /** Nobody tells paused guests that their lock was somebody else's. */
  | "no-marks"
  /** A guest is resumed with a lock that is just being given to somebody else. */
  | "return-from-leaving"
  /** Changes do not rely on what all agree upon: in a cluster that is being recovered locks are taken. */
  | "no-meta"
  /** A share is given back when the first of its host's guests ends that have it. */
  | "share-of-one"
  /** A host is fenced whatever it has done since it was condemned. */
  | "fence-unseen"
  /** A host that is condemned counts as fenced. */
  | "condemned-is-fenced";

/** etcd as it was at one moment. */
export interface Snapshot {
  readonly keys: ReadonlyMap<string, { value: string; changedAt: number; lease: string | undefined }>;
  readonly revision: number;
}

/** etcd as its contract says it is: one transaction after the other, each with a revision of its own. */
export class PlayedEtcd {
  #keys = new Map<string, { value: string; changedAt: number; lease: string | undefined }>();
  readonly #leases = new Map<string, number>();
  /** Every change that there was. */
  readonly #changes: { readonly key: string; readonly revision: number }[] = [];
  readonly #crippled: Crippled;
  #revision = 1;
  #cluster = 1;
  #nextLease = 1;

  constructor(crippled: Crippled) {
    this.#crippled = crippled;
  }

  get revision(): number {
    return this.#revision;
  }

  /** A key's value. */
  get(key: string): string | undefined {
    return this.#keys.get(key)?.value;
  }

  /** Writes a key, as somebody does with a command. */
  put(key: string, value: string): void {
    this.#keys.set(key, { value, changedAt: ++this.#revision, lease: undefined });
  }

  /** Deletes a key, as somebody does with a command. */
  delete(key: string): void {
    this.#keys.delete(key);
    this.#revision++;
  }

  /** What a backup has. */
  save(): Snapshot {
    return { keys: new Map(this.#keys), revision: this.#revision };
  }

  /** Goes back to a backup. @param anew whether it has another number then */
  restore({ keys, revision }: Snapshot, anew: boolean): void {
    this.#keys = new Map(keys);
    this.#revision = revision;
    if (anew) this.#cluster++;
  }

  /** Keys that contain a text. */
  keys(part: string): string[] {
    return [...this.#keys.keys()].filter((key) => key.includes(part)).sort();
  }

  /** Whether something below a prefix was changed at a revision or later. */
  hasChanged(prefix: string, from: number): boolean {
    for (let index = this.#changes.length - 1; index >= 0; index--) {
      const change = this.#changes[index];
      if (change === undefined || change.revision < from) return false;
      if (change.key.startsWith(prefix)) return true;
    }
    return false;
  }

  /** What etcd does with a question, at once. @param now milliseconds */
  apply(question: Question, now: number): Answer {
    this.#expire(now);
    switch (question.kind) {
      case "grant-lease": {
        const lease = String(this.#nextLease++);
        this.#leases.set(lease, now + question.seconds * 1000);
        return { kind: "lease", lease, seconds: question.seconds };
      }
      case "keep-lease": {
        const known = this.#leases.has(question.lease);
        if (known) this.#leases.set(question.lease, now + 10_000);
        return { kind: "lease", lease: question.lease, seconds: known ? 10 : 0 };
      }
      case "await-change":
      case "await-delete":
        return { kind: "changed" };
      case "versions":
        return { kind: "versions", members: [{ url: "http://played:2379", version: "3.5.16" }] };
      case "transaction":
        return { kind: "transaction", result: this.#transaction(question.transaction) };
    }
  }

  #transaction({ compare, success, failure }: Transaction): TransactionResult {
    for (const list of [compare, success, failure]) {
      invariant(list.length <= MOST_OPERATIONS, `etcd refuses a transaction of ${list.length} operations`);
    }
    invariant(success.length + failure.length > 0, "Any member, also one that is behind, would answer alone");
    const fences = success.some((each) => each.op === "put" && each.value.includes('"state":"fenced"'));
    const succeeded = (fences && this.#crippled === "fence-unseen") ||
      compare.every((each) => this.#holds(each));
    const operations = succeeded ? success : failure;
    const writes = operations.some(({ op }) => op === "put" || op === "delete");
    if (writes) this.#revision++;
    const results = operations.map((operation) => this.#operation(operation));
    return { succeeded, results, cluster: String(this.#cluster), revision: this.#revision };
  }

  #holds(compare: Compare): boolean {
    switch (compare.kind) {
      case "changed-at":
        if (this.#crippled === "no-meta" && /\/meta$/.test(compare.key) && this.#keys.has(compare.key)) {
          return true;
        }
        if (this.#crippled === "no-epoch" && /\/(session\/[^/]+|meta)$/.test(compare.key)) return true;
        return (this.#keys.get(compare.key)?.changedAt ?? 0) === compare.revision;
      case "value":
        if (this.#crippled === "release-unseen") return this.#keys.has(compare.key);
        return this.#keys.get(compare.key)?.value === compare.value;
      case "none-below":
        return ![...this.#keys.keys()].some((key) => key.startsWith(compare.prefix));
    }
  }

  #operation(operation: KeyOperation): OperationResult {
    const nothing = { found: [], more: false };
    switch (operation.op) {
      case "put": {
        const { key, value, lease } = operation;
        if (this.#crippled === "no-marks" && key.includes("/paused/")) return nothing;
        this.#changes.push({ key, revision: this.#revision });
        this.#keys.set(key, { value, changedAt: this.#revision, lease });
        return nothing;
      }
      case "delete":
        this.#changes.push({ key: operation.key, revision: this.#revision });
        this.#keys.delete(operation.key);
        return nothing;
      case "get":
        return { found: this.#found([operation.key]), more: false };
      case "list": {
        const { prefix, after = "", upTo, limit } = operation;
        const keys = [...this.#keys.keys()].filter((key) =>
          key.startsWith(prefix) && key > after && (upTo === undefined || key <= upTo)
        ).sort();
        return { found: this.#found(keys.slice(0, limit)), more: keys.length > limit };
      }
      case "count": {
        const count = [...this.#keys.keys()].filter((key) => key.startsWith(operation.prefix)).length;
        return count === 0 ? nothing : { ...nothing, count };
      }
    }
  }

  #found(keys: readonly string[]): KeyValue[] {
    return keys.flatMap((key) => {
      const known = this.#keys.get(key);
      if (known === undefined) return [];
      const value = this.#crippled === "condemned-is-fenced"
        ? known.value.replace('"state":"condemned"', '"state":"fenced"')
        : known.value;
      return [{ key, value, changedAt: known.changedAt }];
    });
  }

  #expire(now: number): void {
    for (const [lease, until] of this.#leases) {
      if (until > now) continue;
      this.#leases.delete(lease);
      for (const [key, entry] of this.#keys) {
        if (entry.lease !== lease) continue;
        this.#changes.push({ key, revision: this.#revision });
        this.#keys.delete(key);
        if (this.#crippled === "lease-is-proof") this.#dropLocksOf(entry.value);
      }
    }
  }

  #dropLocksOf(host: string): void {
    const { session }: { session: string } = JSON.parse(host);
    for (const [key, { value }] of this.#keys) {
      if (/\/(lock|share|own|paused)\//.test(key) && value.includes(session)) this.#keys.delete(key);
    }
  }
}
