import { ordered, ranks } from "../numbers.ts";

/** A change that is on its way to etcd: see the one in `locks`. */
export interface Message {
  readonly op: "acquire" | "replace" | "release" | "bump" | "unuse" | "put-mark" | "unmark";
  readonly epoch: number;
  readonly attempt: number;
  /** Of an acquire: whether it is for a guest that was paused. Of a release: whether it puts a mark. */
  readonly paused: boolean;
  /** Of a release: whether nobody was granted the lock, so that what marks say of it is taken back. */
  readonly takesBack: boolean;
  readonly awaited: boolean;
}

/**
 * A host with guests that are paused, as far as one disk is concerned. It has at most one guest that has the
 * lock or asks for it, and one that was left behind: paused, with its lock given to somebody else.
 */
export interface PausingHost {
  /** In etcd: the revision of the session, and the record of the lock; 0: none. */
  readonly session: number;
  readonly alone: number;
  /**
   * In etcd: the mark of a guest of this host that is paused. "clean" says nothing; the others, that another
   * one has had the lock, "used-now" by the last one that took it, before which it was clean.
   */
  readonly mark: "none" | "clean" | "used-now" | "used";
  /** Whether the guest of the mark has ended. */
  readonly over: boolean;
  readonly daemon: "unsure" | "live";
  /** The revision that the daemon relies on; 0 when on none. */
  readonly epoch: number;
  /** Whether this life of the daemon knows what etcd has of its host. */
  readonly listed: boolean;
  /**
   * "granted": it has its lock, and is about to run; "refused": so it was, and was then refused another one;
   * "returning": it was paused, and asks for it again.
   */
  readonly guest: "none" | "asking" | "granted" | "refused" | "running" | "paused" | "returning";
  /** What the daemon knows of the lock. "leaving": it is to be given back, and a mark to be put. */
  readonly lock: "none" | "acquiring" | "unknown" | "held" | "due" | "leaving";
  readonly attempt: number;
  /** Whether the daemon has found the lock in etcd, and knows no more of it. */
  readonly found: boolean;
  /**
   * Whom the try is for: a guest that has never had the lock, one that is paused, or one for which etcd has
   * it already, though the daemon knows nothing of it.
   */
  readonly tried: "first" | "return" | "again";
  /** In the journal: tries of which nobody was told that they came to anything. */
  readonly ungranted: readonly number[];
  /** Whether marks say of this host's guest that it has the lock, and it has not run yet. */
  readonly told: boolean;
  /** Whether the daemon knows that there is a mark. */
  readonly minds: boolean;
  /** Whether there is a guest that was left behind. */
  readonly left: boolean;
  /** Nobody knows these: whether another one has run since the guest was paused. */
  readonly stale: boolean;
  readonly leftStale: boolean;
  /** What has gone wrong with a guest. */
  readonly wrong:
    | ""
    | "a guest goes on over what another one has written"
    | "a guest does not go on, and may";
  readonly messages: readonly Message[];
}

/** A host whose daemon has just been started for the first time. */
export const NEW_HOST: PausingHost = {
  session: 1,
  alone: 0,
  mark: "none",
  over: false,
  daemon: "unsure",
  epoch: 0,
  listed: false,
  guest: "none",
  lock: "none",
  attempt: 0,
  found: false,
  tried: "first",
  ungranted: [],
  told: false,
  minds: false,
  left: false,
  stale: false,
  leftStale: false,
  wrong: "",
  messages: [],
};

/** The same host, written in one way only. */
export function normal(host: PausingHost): PausingHost {
  const epochOf = ranks(epochs(host));
  const attemptOf = ranks(attempts(host));
  const messages = host.messages.map((message) => ({
    ...message,
    epoch: epochOf(message.epoch),
    attempt: attemptOf(message.attempt),
  }));
  const { lock, guest, left, mark } = host;
  // Of any other try nothing can be in etcd any more.
  const mayBeThere = new Set([host.alone, host.attempt, ...host.messages.map(({ attempt }) => attempt)]);
  const ungranted = host.ungranted.filter((each) => mayBeThere.has(each)).map(attemptOf);
  return {
    ...host,
    session: epochOf(host.session),
    epoch: epochOf(host.epoch),
    alone: attemptOf(host.alone),
    attempt: attemptOf(host.attempt),
    over: host.over && mark !== "none",
    found: host.found && (lock === "held" || lock === "due"),
    tried: lock === "acquiring" || lock === "unknown" ? host.tried : "first",
    ungranted: [...new Set(ungranted)].sort((one, other) => one - other),
    told: host.told && lock !== "none",
    stale: host.stale && (guest === "paused" || guest === "returning" || guest === "granted"),
    leftStale: host.leftStale && left,
    messages: ordered(messages),
  };
}

/** Every revision of a session that there is. */
export function epochs({ session, epoch, messages }: PausingHost): number[] {
  return [session, epoch, ...messages.map((message) => message.epoch)];
}

/** Every number of a try that there is. */
export function attempts({ alone, attempt, ungranted, messages }: PausingHost): number[] {
  return [alone, attempt, ...ungranted, ...messages.map((message) => message.attempt)];
}
