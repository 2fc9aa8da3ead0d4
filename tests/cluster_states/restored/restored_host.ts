import { ordered, ranks } from "../numbers.ts";

/** A change that is on its way to etcd: see the one in `locks`. */
export interface Message {
  readonly op: "acquire" | "release" | "bump";
  readonly epoch: number;
  /** Whether the cluster was closed or opened since, which it compares too. */
  readonly stale: boolean;
  readonly attempt: number;
  readonly awaited: boolean;
}

/**
 * A host of a cluster whose etcd is restored from backups, as far as one disk is concerned, which a guest has
 * alone. Whether the cluster is open, and what a backup has, is the same with all hosts.
 */
export interface RestoredHost {
  /** In etcd: the revision of the session, and the record of the lock; 0: none. */
  readonly session: number;
  readonly alone: number;
  /** The same in the backup; undefined: there is none. */
  readonly saved: { readonly session: number; readonly alone: number } | undefined;
  readonly open: boolean;
  /** In etcd: how far the host has come since the cluster was closed. */
  readonly entry: "none" | "listed" | "settled";
  readonly daemon: "unsure" | "live";
  readonly epoch: number;
  /** Whether the cluster was closed or opened since the daemon has written its session. */
  readonly stale: boolean;
  /** Whether the cluster was open then. */
  readonly serves: boolean;
  /** Whether the daemon knows what etcd has of its host. */
  readonly listed: boolean;
  /** Whether another host had the lock when it was to be put in; "tried-again": which had come before. */
  readonly conflict: "none" | "tried" | "tried-again";
  /** Whether the others had come when the daemon last looked. */
  readonly sawOthers: boolean;
  readonly guest: "none" | "asking" | "running";
  readonly lock: "none" | "acquiring" | "unknown" | "held" | "due";
  readonly attempt: number;
  /** Whether its guest has a lock that the cluster does not grant. */
  readonly doubtful: boolean;
  readonly messages: readonly Message[];
}

/** A host whose daemon has just been started for the first time. */
export const NEW_HOST: RestoredHost = {
  session: 1,
  alone: 0,
  saved: undefined,
  open: true,
  entry: "none",
  daemon: "unsure",
  epoch: 0,
  stale: false,
  serves: false,
  listed: false,
  conflict: "none",
  sawOthers: false,
  guest: "none",
  lock: "none",
  attempt: 0,
  doubtful: false,
  messages: [],
};

/** The same host, written in one way only. */
export function normal(host: RestoredHost): RestoredHost {
  const epochOf = ranks(epochs(host));
  const attemptOf = ranks(attempts(host));
  const { saved, open, daemon } = host;
  const messages = host.messages.map((message) => ({
    ...message,
    epoch: epochOf(message.epoch),
    attempt: attemptOf(message.attempt),
  }));
  return {
    ...host,
    session: epochOf(host.session),
    epoch: epochOf(host.epoch),
    alone: attemptOf(host.alone),
    attempt: attemptOf(host.attempt),
    saved: saved === undefined
      ? undefined
      : { session: epochOf(saved.session), alone: attemptOf(saved.alone) },
    entry: open ? "none" : host.entry,
    sawOthers: host.sawOthers && !open,
    stale: host.stale && daemon === "live",
    serves: host.serves && daemon === "live",
    messages: ordered(messages),
  };
}

/** Every revision of a session that there is. */
export function epochs({ session, epoch, saved, messages }: RestoredHost): number[] {
  return [session, epoch, saved?.session ?? 0, ...messages.map((message) => message.epoch)];
}

/** Every number of a try that there is. */
export function attempts({ alone, attempt, saved, messages }: RestoredHost): number[] {
  return [alone, attempt, saved?.alone ?? 0, ...messages.map((message) => message.attempt)];
}
