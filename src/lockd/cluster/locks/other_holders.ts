import type { Answer } from "../../../etcd/wire/link_messages.ts";
import { foundIn, reasonOf } from "../etcd/etcd.ts";
import type { SilentHost } from "../fencing/host_fencing.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeHolder } from "../keys/lock_holder.ts";
import { decodeName } from "../keys/names.ts";
import { RecordError } from "../keys/record_fields.ts";
import { type Epoch, obstacles, obstaclesOf } from "../keys/transactions.ts";
import type { ClusterSession } from "../session/session.ts";
import type { FencedLocks } from "./fenced_locks.ts";
import type { HolderNames } from "./holder_names.ts";
import type { FoundLock, NotTaken, Taken, Wanted } from "./wanted_lock.ts";
import type { Wants } from "./wants.ts";

type Held = Extract<Taken, { kind: "held" }>;

/** What asking other hosts works with. */
export interface OtherHoldersParts {
  readonly session: Pick<ClusterSession, "id" | "whenLive" | "ask">;
  readonly keys: ClusterKeys;
  readonly names: Pick<HolderNames, "name">;
  readonly wants: Pick<Wants, "ask">;
  /** Told that somebody asks for a lock of a host that is not heard of. */
  readonly silent: (host: SilentHost, reason: string) => void;
  /** Frees locks of hosts that were fenced. */
  readonly fencedLocks: Pick<FencedLocks, "free">;
}

/** Locks that other hosts have, and may give: their guests are paused, or just ending. */
export class OtherHolders {
  readonly #parts: OtherHoldersParts;

  constructor(parts: OtherHoldersParts) {
    this.#parts = parts;
  }

  /**
   * Has other hosts give a lock where they may, without taking it.
   *
   * @param done gets "free" when none of them has it now
   */
  clear(wanted: Wanted, done: (outcome: "free" | NotTaken) => void): void {
    this.#clear(wanted, done, undefined);
  }

  /** @param answered the lock that is in the way, of which its host has said that it is not given */
  #clear(wanted: Wanted, done: (outcome: "free" | NotTaken) => void, answered: string | undefined): void {
    const { session, keys } = this.#parts;
    const { name, shared, limit } = wanted;
    const failed = (reason: string) => done({ kind: "failed", reason });
    session.whenLive(limit.until, (epoch) => {
      session.ask(obstacles(obstaclesOf(keys, name, shared)), (answer) => {
        if (answer.kind !== "transaction") return failed(reasonOf(answer));
        const other = this.#othersIn(answer);
        if (typeof other === "string") return failed(other);
        if (other === undefined) return done("free");
        if (other.entry.value === answered) return this.held(other, done);
        this.ask(epoch, other, wanted, done, (told) => this.#clear(wanted, done, told));
      });
    }, failed);
  }

  /** The first lock of another host; why that cannot be told. */
  #othersIn(answer: Answer): FoundLock | string | undefined {
    try {
      return foundIn(answer).map((entry) => ({ entry, holder: decodeHolder(entry) })).find(({ holder }) =>
        holder.session !== this.#parts.session.id
      );
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      return error.message;
    }
  }

  /** Names who has a lock. */
  held({ entry, holder }: FoundLock, done: (held: Held) => void): void {
    const { keys, names } = this.#parts;
    names.name(holder, keys.isShare(entry.key), (by) => done({ kind: "held", by }));
  }

  /**
   * Another host has a lock, which may give it. One that was fenced has it no more.
   *
   * @param again called when it may have given it, or could not be asked; with the lock as it was when its
   *   host has said that it does not give it, if that is there still
   */
  ask(
    epoch: Epoch,
    { entry, holder }: FoundLock,
    { holder: asker, name, limit }: Wanted,
    done: (refused: NotTaken) => void,
    again: (answered: string | undefined) => void,
  ): void {
    const { keys, wants, fencedLocks } = this.#parts;
    const shared = keys.isShare(entry.key);
    fencedLocks.free(epoch, entry, (freed) => {
      switch (freed.kind) {
        case "again":
          return again(undefined);
        case "failed":
          return done(freed);
        case "stays":
          this.#parts.names.name(holder, shared, (by) => {
            if (by.silentSince !== undefined) {
              const lock = `${name.space}/${decodeName(name.name)}`;
              const reason =
                `domain '${asker.domain}' asks for the lock ${lock} of domain '${holder.domain}'`;
              this.#parts.silent({ session: holder.session, name: by.host }, reason);
              return done({ kind: "held", by });
            }
            // What a paused guest has is not taken from it for nobody.
            if (limit.over) return done({ kind: "held", by });
            wants.ask({ epoch, entry, of: holder.session, asker, limit }, (outcome) => {
              if (outcome === "silent") return done({ kind: "held", by });
              again(outcome === "answered" ? entry.value : undefined);
            });
          });
      }
    });
  }
}
