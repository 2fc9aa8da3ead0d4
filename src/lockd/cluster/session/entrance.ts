import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { Transaction } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import { closedText, Entries } from "./entries.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { Conflict } from "./conflict.ts";
import { decodeMeta, encodeMeta, type MetaRecord } from "../keys/meta_record.ts";
import { RecordError } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import { decodeSession } from "../keys/session_record.ts";
import type { HostIdentity } from "./session_step.ts";
import { type Epoch, MOVED, read, stillIn } from "../keys/transactions.ts";

/** More hosts than a cluster has. */
const MOST_HOSTS = 1000;

/** What the way into a closed cluster needs. */
export interface EntranceParts {
  readonly session: {
    readonly id: string;
    ask(transaction: Transaction, done: (answer: Answer) => void): void;
  };
  readonly keys: ClusterKeys;
  readonly host: Pick<HostIdentity, "id" | "name">;
}

/** How far a host has come. */
export type Entered =
  /** `reason` is what the cluster waits for. */
  | { readonly kind: "settled"; readonly reason: string }
  /** Another host may still give back what this one has: it is to be tried again. */
  | { readonly kind: "listed"; readonly reason: string }
  /** Everybody has come. */
  | { readonly kind: "opened" }
  | { readonly kind: "failed"; readonly reason: string };

/**
 * The way into a cluster in which nothing new is locked, because it is being formed or recovered: each host
 * says that it has put in what it has, and the last one that was expected opens it.
 */
export class Entrance {
  readonly #parts: EntranceParts;
  /** Hosts that had come when this one last looked, and in which round. */
  #came: { readonly round: string; readonly hosts: ReadonlySet<string> } = { round: "", hosts: new Set() };

  constructor(parts: EntranceParts) {
    this.#parts = parts;
  }

  /**
   * Says that this host has gone through what etcd has of it.
   *
   * What it could not put in is another host's only when that had come before this one tried: it may have
   * given the lock back since, and come then. So such a lock is tried once more behind the look that finds
   * that its holder has come.
   *
   * @param conflicts what it could not put in
   */
  enter(
    epoch: Epoch,
    meta: MetaRecord,
    conflicts: readonly Conflict[],
    done: (entered: Entered) => void,
  ): void {
    const { session, keys } = this.#parts;
    const sessions = [...new Set(conflicts.map((conflict) => conflict.session))];
    const list = { op: "list", prefix: keys.entries, limit: MOST_HOSTS } as const;
    const reads = read(...sessions.map((id) => keys.session(id))).success;
    session.ask({ compare: [], success: [list, ...reads], failure: [] }, (answer) => {
      if (answer.kind !== "transaction") return done({ kind: "failed", reason: reasonOf(answer) });
      const [listed, ...holders] = answer.result.results;
      try {
        const entries = new Entries(keys, listed?.found ?? [], meta);
        const before = this.#came.round === meta.round ? this.#came.hosts : new Set();
        this.#came = { round: meta.round, hosts: entries.hosts };
        const awaited = holders.flatMap(({ found }) => found).map(decodeSession).filter((holder) =>
          entries.mayGiveBack(holder) || (entries.hosts.has(holder.host) && !before.has(holder.host))
        );
        const reason = awaited.length === 0 ? undefined : closedText(
          meta,
          `a lock of this host is another one's in etcd: it waits for ${
            [...new Set(awaited.map(({ name }) => name))].join(", ")
          }`,
        );
        this.#write(epoch, meta, reason, done);
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        done({ kind: "failed", reason: error.message });
      }
    });
  }

  /** @param waits why this host has not settled yet */
  #write(epoch: Epoch, meta: MetaRecord, waits: string | undefined, done: (entered: Entered) => void): void {
    const { session, keys, host } = this.#parts;
    const entry = encodeRecord({
      session: session.id,
      name: host.name,
      round: meta.round,
      state: waits === undefined ? "settled" : "listed",
    });
    session.ask({
      compare: stillIn(epoch),
      success: [{ op: "put", key: keys.entry(host.id), value: entry }],
      failure: [],
    }, (answer) => {
      if (answer.kind !== "transaction") return done({ kind: "failed", reason: reasonOf(answer) });
      if (!answer.result.succeeded) {
        return done({ kind: "failed", reason: MOVED });
      }
      if (waits !== undefined) return done({ kind: "listed", reason: waits });
      this.open(done);
    });
  }

  /** Looks whether every host has come that was expected, and opens the cluster then. */
  open(done: (entered: Entered) => void): void {
    const { session, keys } = this.#parts;
    const list = { op: "list", prefix: keys.entries, limit: MOST_HOSTS } as const;
    session.ask({ compare: [], success: [{ op: "get", key: keys.meta }, list], failure: [] }, (answer) => {
      if (answer.kind !== "transaction") return done({ kind: "failed", reason: reasonOf(answer) });
      const [[found] = [], entries = []] = answer.result.results.map((result) => result.found);
      if (found === undefined) return done({ kind: "failed", reason: "etcd has been emptied" });
      try {
        const meta = decodeMeta(found);
        if (meta.phase === "open") return done({ kind: "opened" });
        const awaited = new Entries(keys, entries, meta).awaited;
        if (awaited !== undefined) return done({ kind: "settled", reason: closedText(meta, awaited) });
        const opened = encodeMeta({ ...meta, phase: "open", expect: [], why: "" });
        session.ask({
          compare: [{ kind: "changed-at", key: keys.meta, revision: found.changedAt }],
          success: [{ op: "put", key: keys.meta, value: opened }],
          failure: [],
        }, (written) => {
          if (written.kind !== "transaction") return done({ kind: "failed", reason: reasonOf(written) });
          // Otherwise somebody has changed it meanwhile: whoever goes on sees what it is by then.
          done({ kind: "opened" });
        });
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        done({ kind: "failed", reason: error.message });
      }
    });
  }
}
