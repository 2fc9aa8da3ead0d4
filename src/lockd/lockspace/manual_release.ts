import { isShownAs } from "../../chassis/log/plain_text.ts";
import type { HolderReaper, Judgement } from "./holder_reaper.ts";
import type { LockTable } from "./lock_table.ts";
import { guestName, type Holding, type Owner, ownerKey } from "./owner.ts";
import type { Refusal } from "./refusal.ts";
import type { Resource } from "./resource.ts";
import type { Witness } from "./settler.ts";

/** A lock that an administrator wants to be freed. */
export interface ReleaseWish {
  /** Path of its lockspace, "" for the default one. */
  readonly lockspace: string;
  readonly resource: string;
  /** Whose hold of it is meant; needed where several owners share it. */
  readonly uuid?: string;
  /** The guest, as guestName() has it, whose hold is to be given up although its process lives. */
  readonly livingGuest?: string;
  readonly by: Administrator;
}

/** The process that has given an order, as the daemon sees it. */
export interface Administrator {
  readonly pid: number;
  readonly uid: number;
}

/** An owner of a lock, each once, with what is known of its process. */
export interface JudgedHolder {
  readonly holding: Holding;
  readonly judgement: Judgement;
}

/** What became of a {@link ReleaseWish}. Only `released` has changed anything. */
export type ReleaseOutcome =
  /** `last`: nobody else shared it, so it is free now. */
  | { readonly kind: "released"; readonly holder: JudgedHolder; readonly last: boolean }
  | { readonly kind: "not-locked" }
  /** Several share it and none was chosen, or the chosen uuid has no hold of it. */
  | { readonly kind: "choose"; readonly holders: readonly JudgedHolder[] }
  /** Its guest runs, or is being ended by this daemon: the disk would be unprotected. */
  | { readonly kind: "alive"; readonly holder: JudgedHolder }
  /** Somebody still writes to the file, or last writes are under way: `reason` says what was seen. */
  | { readonly kind: "busy"; readonly holder: JudgedHolder; readonly reason: string }
  /** The guest that was named is not the one that holds it. */
  | { readonly kind: "other-guest"; readonly holder: JudgedHolder }
  | { readonly kind: "failed"; readonly holder: JudgedHolder; readonly refusal: Refusal };

/** Told of each lock that was freed this way, before anything is answered. */
export interface ManualReleaseObserver {
  freedByHand(resource: Resource, holder: JudgedHolder, by: Administrator): void;
}

/**
 * Frees a lock whose owner will not: it is dead, or nobody can tell whether it is. What a living guest has
 * stays, and so does what is being written to, unless that guest is named.
 */
export class ManualRelease {
  readonly #table: Pick<LockTable, "find" | "giveUp" | "settling">;
  readonly #reaper: Pick<HolderReaper, "judge">;
  readonly #witness: Witness;
  readonly #observer: ManualReleaseObserver;

  constructor(parts: {
    table: Pick<LockTable, "find" | "giveUp" | "settling">;
    reaper: Pick<HolderReaper, "judge">;
    witness: Witness;
    observer: ManualReleaseObserver;
  }) {
    this.#table = parts.table;
    this.#reaper = parts.reaper;
    this.#witness = parts.witness;
    this.#observer = parts.observer;
  }

  /** @param done called exactly once, at once or when slow storage has answered */
  release(wish: ReleaseWish, done: (outcome: ReleaseOutcome) => void): void {
    const resource = this.#table.find(wish.lockspace, wish.resource);
    if (resource === undefined) return done({ kind: "not-locked" });
    const all = this.#holders(resource);
    const { uuid, livingGuest } = wish;
    const meant = all.filter(({ holding }) => (uuid ?? holding.owner.uuid) === holding.owner.uuid);
    const [holder] = meant;
    if (holder === undefined || !isChosen(meant)) return done({ kind: "choose", holders: all });
    const { owner } = holder.holding;
    if (livingGuest !== undefined && !isShownAs(guestName(owner), livingGuest)) {
      return done({ kind: "other-guest", holder });
    }
    if (livingGuest !== undefined) return this.#giveUp(resource, holder, wish.by, done);
    switch (holder.judgement.kind) {
      case "alive":
        return done({ kind: "alive", holder });
      case "dead": {
        const reason = this.#table.settling(resource);
        return reason === undefined
          ? this.#giveUp(resource, holder, wish.by, done)
          : done({ kind: "busy", holder, reason });
      }
      case "unjudged":
        return this.#giveUpUnlessBusy(resource, holder, wish.by, done);
    }
  }

  /** What nobody knows of the owner its file may tell: whoever has it open may well be that owner. */
  #giveUpUnlessBusy(
    resource: Resource,
    holder: JudgedHolder,
    by: Administrator,
    done: (outcome: ReleaseOutcome) => void,
  ): void {
    this.#witness.ask(resource, holder.holding, (verdict) => {
      const isUsed = verdict.kind === "busy" || (verdict.kind === "unknown" && verdict.opener === "seen");
      if (isUsed) return done({ kind: "busy", holder, reason: verdict.reason });
      // It may have been released while the storage was asked.
      const isHeld = resource.holdings.includes(holder.holding) &&
        this.#table.find(resource.lockspace, resource.name) === resource;
      if (!isHeld) return done({ kind: "not-locked" });
      this.#giveUp(resource, holder, by, done);
    });
  }

  #giveUp(
    resource: Resource,
    holder: JudgedHolder,
    by: Administrator,
    done: (outcome: ReleaseOutcome) => void,
  ): void {
    const { owner } = holder.holding;
    this.#table.giveUp(resource, owner, (refusal) => {
      if (refusal !== undefined) return done({ kind: "failed", holder, refusal });
      this.#observer.freedByHand(resource, holder, by);
      done({ kind: "released", holder, last: resource.holdings.length === 0 });
    });
  }

  #holders({ holdings }: Resource): JudgedHolder[] {
    const once = new Map<string, Holding>();
    for (const holding of holdings) {
      const name = nameOf(holding.owner);
      if (!once.has(name)) once.set(name, holding);
    }
    return [...once.values()].map((holding) => ({ holding, judgement: this.#reaper.judge(holding.owner) }));
  }
}

/**
 * Whether it is clear who is meant. A guest that was started anew may share a lock with what it was before:
 * when both have ended it does not matter who goes first.
 */
function isChosen(meant: readonly JudgedHolder[]): boolean {
  const guests = new Set(meant.map(({ holding: { owner } }) => owner.uuid));
  return meant.length === 1 ||
    (guests.size === 1 && meant.every(({ judgement }) => judgement.kind === "dead"));
}

/** Under one key there may be a guest that has ended and another whose process got the same pid. */
function nameOf(owner: Owner): string {
  return `${ownerKey(owner)} ${owner.uuid}`;
}
