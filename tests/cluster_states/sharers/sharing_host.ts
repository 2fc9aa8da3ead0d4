import { type Asking, attempts, NEW_HOST as NEW_LOCKING_HOST, renumbered } from "../locks/locking_host.ts";
import { ranks } from "../numbers.ts";

/** A host with up to two guests that share one disk, or one that has it alone. */
export interface SharingHost extends Asking {
  readonly daemon: "unsure" | "live";
  /** Whether this life of the daemon knows what etcd has of its host. */
  readonly listed: boolean;
  /** What the daemon knows of the lock. "due": it is to be given back. */
  readonly lock: "none" | "acquiring" | "unknown" | "held" | "due";
  /** Whether the daemon has found the lock in etcd, and does not know who has it. */
  readonly found: boolean;
  /** Whether others may have the found share than the guest that its record names. */
  readonly open: boolean;
  /** Tries with numbers up to this one are of a daemon whose knowledge of what it had granted was lost. */
  readonly strange: number;
  /** How the guests, or the daemon for them, have the lock or want it. */
  readonly shared: boolean;
  /** Whether a guest waits for the lock, which no other one of this host has. */
  readonly asking: boolean;
  /** Guests that use the disk: those that the daemon knows, and those of which it knows nothing. */
  readonly known: number;
  readonly unknown: number;
  /** Whether the guest lives that the record in etcd names: the first one. */
  readonly first: boolean;
}

const { session, alone, share, epoch, attempt, messages } = NEW_LOCKING_HOST;

/** A host whose daemon has just been started for the first time. */
export const NEW_HOST: SharingHost = {
  session,
  alone,
  share,
  epoch,
  attempt,
  messages,
  daemon: "unsure",
  listed: false,
  lock: "none",
  found: false,
  open: false,
  strange: 0,
  shared: false,
  asking: false,
  known: 0,
  unknown: 0,
  first: false,
};

/** The same host, written in one way only. */
export function normal(host: SharingHost): SharingHost {
  const guests = host.known + host.unknown;
  const found = host.found && host.lock === "held";
  const tries = attempts(host);
  return {
    ...renumbered(host),
    strange: ranks(tries)(Math.max(0, ...tries.filter((each) => each <= host.strange))),
    found,
    open: host.open && found,
    shared: host.shared && (host.lock !== "none" || guests > 0),
    first: host.first && guests > 0,
  };
}
