import { ordered, ranks } from "../numbers.ts";

/** What etcd has of one start of a host. */
export interface Session {
  /** Revision at which it was last changed. */
  readonly revision: number;
  readonly said: "nothing" | "condemned" | "fenced";
  /** Whether it has the disk's lock, which nobody else takes. */
  readonly alone: boolean;
}

/** A process on another host that has a session of this one fenced by a program. */
export interface Fencer {
  /** The start of the host that it is for: the one that is now, or the one before. */
  readonly start: "now" | "before";
  /**
   * "cut": the program runs, and has cut the host off. "ended": it has, with exit code 0, and its word is not
   * written yet; "lied": the same, and the host was not cut off.
   */
  readonly stage: "condemned" | "running" | "cut" | "ended" | "lied";
  /** Revision of the session as it was condemned. */
  readonly revision: number;
  /** Whether the host has written its session anew since. */
  readonly objected: boolean;
}

/** A host whose guest has the disk, and those that fence it. */
export interface FencedHost {
  readonly power: "on" | "off";
  /** The revision that the daemon relies on; 0: none. */
  readonly epoch: number;
  readonly guest: "none" | "running";
  readonly now: Session;
  /** That of the start before, as long as it makes a difference. */
  readonly before: Session | undefined;
  readonly fencers: readonly Fencer[];
  /** Whether it was fenced by the word of a program that has lied: nothing is promised of its guest then. */
  readonly lied: boolean;
  /** What was done to the host that must not be. */
  readonly fault: "none" | "hit" | "fenced";
}

/** A session in which nothing has happened yet. */
export const NEW_SESSION: Session = { revision: 1, said: "nothing", alone: false };

/** A host that has just been started. */
export const NEW_HOST: FencedHost = {
  power: "on",
  epoch: 0,
  guest: "none",
  now: NEW_SESSION,
  before: undefined,
  fencers: [],
  lied: false,
  fault: "none",
};

/** Every revision that there is. */
export function revisions({ now, before, epoch, fencers }: FencedHost): number[] {
  return [now.revision, before?.revision ?? 0, epoch, ...fencers.map(({ revision }) => revision)];
}

/** The same host, written in one way only: revisions stand for nothing but being equal or not. */
export function normal(host: FencedHost): FencedHost {
  const { now, before, epoch, fencers } = host;
  const all = revisions(host);
  const rankOf = ranks(all);
  const ranked = (session: Session): Session => ({ ...session, revision: rankOf(session.revision) });
  const isPast = before !== undefined && !before.alone && before.said !== "condemned" &&
    fencers.every(({ start }) => start === "now");
  return {
    ...host,
    now: ranked(now),
    before: before === undefined || isPast ? undefined : ranked(before),
    epoch: rankOf(epoch),
    fencers: ordered(fencers.map((fencer) => ({ ...fencer, revision: rankOf(fencer.revision) }))),
  };
}
