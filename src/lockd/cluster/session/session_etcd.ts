import type { Answer, KeyRange } from "../../../etcd/wire/link_messages.ts";
import type { Transaction } from "../../../etcd/wire/transaction.ts";
import type { Etcd } from "../etcd/etcd.ts";
import type { Seen } from "../host/membership_file.ts";
import { ASK_MS } from "./cluster_times.ts";
import { SameEtcd } from "./same_etcd.ts";

/** What asking works with. */
export interface SessionEtcdParts {
  readonly etcd: Pick<Etcd, "ask">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** What etcd was when this host has last written its session. */
  readonly seen: Seen | undefined;
  /** Whether the session is closed: nothing is told any more. */
  readonly closed: () => boolean;
  /** Told that etcd is not what it was, before whoever has asked. */
  readonly another: (reason: string) => void;
}

/** What came of waiting until keys are deleted. */
export type Watched =
  | Extract<Answer, { readonly kind: "deleted" }>
  /** The limit is over. */
  | Extract<Answer, { readonly kind: "changed" }>
  /** etcd could not be asked. */
  | { readonly kind: "failed" };

/** etcd as a session asks it: each answer is looked at first, whether it is from the etcd that it was. */
export class SessionEtcd {
  readonly #parts: SessionEtcdParts;
  readonly #same: SameEtcd;

  constructor(parts: SessionEtcdParts) {
    this.#parts = parts;
    const { clock, seen } = parts;
    this.#same = seen === undefined
      ? new SameEtcd(clock)
      : new SameEtcd(clock, seen.etcd, Math.max(seen.session, seen.meta));
  }

  /** Milliseconds since etcd has last answered. */
  get silence(): number {
    return this.#same.silence;
  }

  /** The number of the etcd cluster. */
  get cluster(): string {
    return this.#same.cluster;
  }

  /**
   * Puts a transaction to etcd.
   *
   * @param done gets an unknown outcome when this very answer tells that etcd is not what it was
   */
  ask(transaction: Transaction, done: (answer: Answer) => void): void {
    const { etcd, closed, another } = this.#parts;
    const asked = this.#same.moment;
    etcd.ask({ kind: "transaction", transaction }, ASK_MS, (answer) => {
      if (closed()) return;
      if (answer.kind !== "transaction") return done(answer);
      const which = this.#same.look(answer.result, asked, answer.from);
      switch (which.kind) {
        case "same":
          return done(answer);
        case "another":
          another(which.reason);
          return done({ kind: "unknown", reason: which.reason });
        case "earlier":
          return done({ kind: "unknown", reason: "it was asked before etcd had changed" });
      }
    });
  }

  /**
   * Waits until something below a prefix is changed, at this revision or later, or the limit is over.
   *
   * @param done gets whether etcd has done so: else it could not be asked. What is there has to be read
   */
  awaitChange(prefix: string, from: number, limitMs: number, done: (hinted: boolean) => void): void {
    const { etcd, closed } = this.#parts;
    etcd.ask({ kind: "await-change", prefix, from }, limitMs, (answer) => {
      if (!closed()) done(answer.kind === "changed");
    });
  }

  /** Waits until some of these keys are deleted, at this revision or later, or the limit is over. */
  awaitDelete(range: KeyRange, from: number, limitMs: number, done: (watched: Watched) => void): void {
    const { etcd, closed } = this.#parts;
    etcd.ask({ kind: "await-delete", range, from }, limitMs, (answer) => {
      if (closed()) return;
      switch (answer.kind) {
        case "deleted":
        case "changed":
          return done(answer);
        default:
          return done({ kind: "failed" });
      }
    });
  }
}
