import type { MetaRecord } from "../keys/meta_record.ts";
import type { Epoch } from "../keys/transactions.ts";
import type { LockState } from "../../lockspace/lock_record.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { Conflict } from "./conflict.ts";
import { isAnothers, isGivenUp, LOST_WHEN_GIVEN_UP } from "./doubts.ts";
import type { Entered, Entrance } from "./entrance.ts";
import { closedText, GIVES_BACK } from "./entries.ts";
import type { Losses } from "./losses.ts";
import type { OwnSession } from "./own_session.ts";
import type { SessionParts } from "./session_parts.ts";

/** How far a host has come whose session is written. */
export type Admitted =
  /** It is to be tried again after a while. */
  | { readonly kind: "again"; readonly reason: string }
  /** The cluster was opened: the session is written anew at once. */
  | { readonly kind: "now" }
  /** Locks can be taken. */
  | { readonly kind: "live" }
  /** They can be given back only, for what the cluster waits for. */
  | Extract<Entered, { kind: "settled" | "listed" }>;

/** What letting a host in works with. */
export interface AdmissionParts {
  readonly parts: Pick<SessionParts, "reconcile" | "givesBack" | "has" | "observer">;
  readonly own: Pick<OwnSession, "id">;
  readonly losses: Pick<Losses, "reasonIn" | "settled" | "pastIn">;
  readonly entrance: Pick<Entrance, "enter">;
  /** Which etcd it is. */
  readonly cluster: () => string;
  /** Whether the session is closed or lost: nothing is done any more. */
  readonly over: () => boolean;
}

/**
 * The way from a session that is written to one in which locks can be taken: what this host has is put into
 * etcd, once in each round ({@link MetaRecord.round}), and a cluster that is closed is entered.
 */
export class Admission {
  readonly #parts: AdmissionParts;
  #reconciled = false;
  /** The round in which this life has put in what this host has. */
  #round: string | undefined;
  /** What other sessions had when this host put in what it has. */
  #conflicts: readonly Conflict[] = [];

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** Whether it is known what this host has in etcd. */
  get reconciled(): boolean {
    return this.#reconciled;
  }

  /** How many locks its guests have that are another session's. */
  get lost(): number {
    return this.#conflicts.filter(({ resource }) => this.#parts.parts.has(resource)).length;
  }

  /** This host has a lock again that was another session's. */
  regained(resource: Resource): void {
    this.#conflicts = this.#conflicts.filter((conflict) => conflict.resource !== resource);
  }

  /** Another session has begun, because this host was fenced: all is to be put in anew. */
  beginAnew(): void {
    this.#reconciled = false;
    this.#round = undefined;
  }

  /** What this host has is put in once more. To be called while nothing of that is under way. */
  putInAgain(): void {
    this.#round = undefined;
  }

  /** Puts in what this host has. @param done called once, unless the session is over */
  admit(epoch: Epoch, meta: MetaRecord, done: (admitted: Admitted) => void): void {
    const { own, entrance, cluster, over, losses } = this.#parts;
    const { reconcile, givesBack, observer } = this.#parts.parts;
    if (this.#round === meta.round) return done(settledIn(meta));
    reconcile(epoch, (outcome) => {
      if (over()) return;
      if (typeof outcome === "string") return done({ kind: "again", reason: outcome });
      if (!this.#reconciled) observer.clusterJoined(own.id, cluster());
      this.#reconciled = true;
      if (meta.phase === "open") {
        this.#settle(meta, outcome);
        return done(settledIn(meta));
      }
      // Another host that has one of these would take it for this one's.
      if (givesBack()) return done({ kind: "listed", reason: closedText(meta, GIVES_BACK) });
      entrance.enter(epoch, meta, outcome, (entered) => {
        if (over()) return;
        switch (entered.kind) {
          case "failed":
            return done({ kind: "again", reason: entered.reason });
          case "opened":
            this.#settle(meta, outcome);
            return done({ kind: "now" });
          case "settled":
            this.#settle(meta, outcome);
            return done(entered);
          case "listed":
            return done(entered);
        }
      });
    }, meta.phase === "recovering" ? "lost" : losses.pastIn(meta.round));
  }

  /** It is known what other sessions have of what this host has. */
  #settle({ round }: MetaRecord, conflicts: readonly Conflict[]): void {
    const { losses, parts } = this.#parts;
    for (const { resource } of conflicts) {
      parts.observer.clusterDoubtful(resource, doubtOf(resource.state) ?? losses.reasonIn(round));
    }
    losses.settled(round);
    this.#round = round;
    this.#conflicts = conflicts;
  }
}

/** What this host has is in etcd. */
function settledIn(meta: MetaRecord): Admitted {
  if (meta.phase === "open") return { kind: "live" };
  return { kind: "settled", reason: closedText(meta, "this host has put in what it has") };
}

/** Why a lock is in doubt that another session has, where its state tells it. */
function doubtOf(state: LockState): string | undefined {
  if (isGivenUp(state)) return LOST_WHEN_GIVEN_UP;
  // It was another session's before: this host has lost nothing since.
  return state.kind === "doubtful" && isAnothers(state) ? state.reason : undefined;
}
