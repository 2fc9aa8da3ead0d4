import { HELD_BY_ANOTHER, LOST_MEANWHILE, lostWhenFenced } from "./doubts.ts";
import type { Seen, SessionNote } from "../host/membership_file.ts";
import { isFollowing } from "../keys/session_id.ts";
import type { Past } from "./past.ts";

/**
 * How it has come that other sessions have locks of this host, when it puts in what it has: whether it has
 * lost them, or two hosts have met that had one each.
 */
export class Losses {
  /** Round in which all that the session had was in etcd, perhaps put there by an earlier daemon. */
  #settled: string | undefined;
  /** The same, of this daemon alone. */
  #settledHere: string | undefined;
  #fenced: string | undefined;
  /** Whether it was a member before, also by an earlier daemon. */
  #member = false;
  /** Whether there was no earlier daemon that was on the way to be one. */
  #first: boolean;
  /** Round in which an earlier daemon was about to be a member for the first time. */
  readonly #begun: string | undefined;

  /** @param note of an earlier daemon; undefined: there was none */
  constructor(note: SessionNote | undefined) {
    this.#first = note === undefined;
    if (note === undefined) return;
    const { session, seen, nonces } = note;
    this.#begun = seen?.first === true && seen.session > 0 ? seen.round : undefined;
    // It was about to write that session, and another one's that has lost its note has nothing of this.
    const isUnwritten = seen === undefined && nonces !== undefined && !isFollowing(session);
    this.#first = isUnwritten || this.#begun !== undefined;
    this.#member = seen !== undefined && !this.#first;
    if (seen?.settled === true && seen.session > 0) this.#settled = seen.round;
    else if (seen?.fenced !== undefined) this.#fenced = seen.fenced;
    // It was noted before it was written for the first time.
    else if (isFollowing(session) && (seen?.session ?? 0) === 0) this.#fenced = "";
  }

  /** Who has fenced this host, "" when that is not known, since its locks were last put in. */
  get fencedBy(): string | undefined {
    return this.#fenced;
  }

  /** This host was fenced. */
  fenced(by: string): void {
    this.#fenced = by;
    this.#settled = undefined;
    // It was one, also where nothing is left that tells.
    this.#member = true;
  }

  /** An earlier daemon was a member, though it has left no note. */
  goesOn(): void {
    this.#first = false;
  }

  /** What this host has is in etcd, and it is known what others have. */
  settled(round: string): void {
    this.#settled = round;
    this.#settledHere = round;
    this.#fenced = undefined;
    this.#member = true;
  }

  /** What etcd can tell in a round in which it has lost nothing. */
  pastIn(round: string): Exclude<Past, "lost"> {
    // It was away in between.
    if (this.#member && !this.isSettled(round)) return "missed";
    if (!this.#first || this.#member) return "known";
    return this.#begun === undefined || this.#begun === round ? "first" : "missed";
  }

  /** Whether that was so once in a round. */
  isSettled(round: string): boolean {
    return this.#settled === round;
  }

  /**
   * What the next daemon has to know of that when the session is written in a round.
   *
   * @param before what is noted already: that all is settled is noted later, when what was in doubt by then
   *   is recorded
   */
  noted(round: string, before: Seen | undefined): Pick<Seen, "settled" | "fenced" | "first"> {
    const last = before?.session === 0 ? undefined : before;
    if (last?.settled === true && last.round === round && this.isSettled(round)) return { settled: true };
    const fenced = this.#fenced ?? (last?.settled === true ? undefined : last?.fenced);
    if (fenced !== undefined) return { fenced };
    const first = this.pastIn(round) === "first" || (last?.first === true && last.round === round);
    return first ? { first } : {};
  }

  /** Why a lock that another session has is in doubt. */
  reasonIn(round: string): string {
    if (this.#fenced !== undefined) return lostWhenFenced(this.#fenced);
    // This daemon has seen to all that it knew of: what it learnt of since was perhaps never in etcd.
    if (this.#settledHere === round) return HELD_BY_ANOTHER;
    return this.isSettled(round) ? LOST_MEANWHILE : HELD_BY_ANOTHER;
  }
}
