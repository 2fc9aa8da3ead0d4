import { ordered, ranks } from "../numbers.ts";

/**
 * A change that is on its way to etcd. What etcd makes of it is told at once or never: an answer that takes
 * its time changes nothing that others could see meanwhile.
 */
export interface Message {
  readonly op: "acquire" | "release" | "bump";
  /** The revision of the session that it compares. */
  readonly epoch: number;
  /** The number of the try in the lock's record. */
  readonly attempt: number;
  readonly shared: boolean;
  /** Whether the daemon still waits for the answer. What nobody waits for may be done much later. */
  readonly awaited: boolean;
}

/**
 * What etcd has of a host as far as one disk is concerned, and what may come there. Revisions and numbers of
 * tries stand for nothing but being equal or not.
 */
export interface Asking {
  /** In etcd: the revision of the host's session, and its records at the disk's keys; 0: none. */
  readonly session: number;
  readonly alone: number;
  readonly share: number;
  /** The revision that the daemon relies on; 0 when on none. */
  readonly epoch: number;
  readonly attempt: number;
  readonly messages: readonly Message[];
}

/** A host, with what etcd has of it. */
export interface LockingHost extends Asking {
  /** "off": without power, until somebody says so; then it is "fenced", and comes back with a new session. */
  readonly daemon: "off" | "fenced" | "unsure" | "live";
  /** Whether this life of the daemon knows what etcd has of its host. */
  readonly listed: boolean;
  /** "landing": its process is gone, and its last writes are on their way. */
  readonly guest: "none" | "asking" | "running" | "landing";
  /** What the daemon knows of the lock. "due": it is to be given back. */
  readonly lock: "none" | "acquiring" | "unknown" | "held" | "due";
  /** Whether the daemon has found the lock in etcd, and knows no more of it. */
  readonly found: boolean;
  /** How the guest, or the daemon for it, has the lock or wants it. */
  readonly shared: boolean;
}

/** A host whose daemon has just been started for the first time. */
export const NEW_HOST: LockingHost = {
  session: 1,
  alone: 0,
  share: 0,
  daemon: "unsure",
  epoch: 0,
  listed: false,
  guest: "none",
  lock: "none",
  attempt: 0,
  found: false,
  shared: false,
  messages: [],
};

/** The same with the smallest numbers: what nothing that may still happen tells apart is one state. */
export function renumbered<Host extends Asking>(host: Host): Host {
  const epochOf = ranks(epochs(host));
  const attemptOf = ranks(attempts(host));
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
    share: attemptOf(host.share),
    attempt: attemptOf(host.attempt),
    messages: ordered(messages),
  };
}

/** The same host, written in one way only. */
export function normal(host: LockingHost): LockingHost {
  return {
    ...renumbered(host),
    found: host.found && host.lock === "held",
    shared: host.shared && (host.lock !== "none" || host.guest !== "none"),
  };
}

/** Every revision of a session that there is. */
export function epochs({ session, epoch, messages }: Asking): number[] {
  return [session, epoch, ...messages.map((message) => message.epoch)];
}

/** Every number of a try that there is. */
export function attempts({ alone, share, attempt, messages }: Asking): number[] {
  return [
    alone,
    share,
    attempt,
    ...messages.map((message) => message.attempt),
  ];
}
