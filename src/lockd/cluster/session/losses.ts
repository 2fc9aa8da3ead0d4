import { HELD_BY_ANOTHER, LOST_MEANWHILE, lostWhenFenced } from "./doubts.ts";
import type { SessionNote } from "../host/membership_file.ts";
import { isFollowing } from "../keys/session_id.ts";

/**
 * How it has come that other sessions have locks of this host, when it puts in what it has: whether it has
 * lost them, or two hosts have met that had one each.
 */
export class Losses {
  /** Round in which all that the session had was in etcd, perhaps put there by an earlier daemon. */
  #settled: string | undefined;
  #fenced: string | undefined;
  /** Whether it was a member before, also by an earlier daemon. */
  #member = false;

  /** @param note of an earlier daemon; undefined: there was none */
  constructor(note: SessionNote | undefined) {
    if (note === undefined) return;
    const { session, seen } = note;
    this.#member = seen !== undefined;
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

  /** What this host has is in etcd, and it is known what others have. */
  settled(round: string): void {
    this.#settled = round;
    this.#fenced = undefined;
    this.#member = true;
  }

  /** Whether a member has been away in between: it was fenced, or etcd was recovered without it. */
  hasMissed(round: string): boolean {
    return this.#member && !this.isSettled(round);
  }

  /** Whether that was so once in a round. */
  isSettled(round: string): boolean {
    return this.#settled === round;
  }

  /** Why a lock that another session has is in doubt. */
  reasonIn(round: string): string {
    if (this.#fenced !== undefined) return lostWhenFenced(this.#fenced);
    return this.isSettled(round) ? LOST_MEANWHILE : HELD_BY_ANOTHER;
  }
}
