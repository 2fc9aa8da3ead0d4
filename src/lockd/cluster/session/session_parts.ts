import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { Conflict } from "./conflict.ts";
import type { Etcd } from "../etcd/etcd.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import type { SessionNote } from "../host/membership_file.ts";
import type { Fencing } from "../keys/fencing_record.ts";
import type { DaemonMark } from "../keys/host_record.ts";
import type { KeyLook } from "./session_proof.ts";
import type { GivenUp, HostIdentity } from "./session_step.ts";
import type { Epoch } from "../keys/transactions.ts";
import type { Past } from "./past.ts";

/** Where a host's membership is. */
export type SessionState =
  /** Not a member yet; `reason` is why, where there is more to say than that it is being done. */
  | { readonly kind: "joining"; readonly reason?: string }
  | { readonly kind: "live"; readonly epoch: Epoch }
  /** A member of a cluster that is being formed or recovered: locks are given back, and none is taken. */
  | {
    readonly kind: "closed";
    readonly epoch: Epoch;
    readonly entered: "listed" | "settled";
    readonly reason: string;
  }
  /** What became of a change is not known; every change that may still be on its way is being made void. */
  | { readonly kind: "unsure"; readonly reason: string }
  /**
   * Somebody else has changed this host's session, or etcd is not what it was. Nothing new is locked.
   * `givenUp` where what it had was given up by somebody's word.
   */
  | { readonly kind: "lost"; readonly reason: string; readonly givenUp?: GivenUp };

/** What a session works with. */
export interface SessionParts {
  readonly etcd: Etcd;
  readonly loop: Pick<EventLoop, "after" | "defer">;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly keys: ClusterKeys;
  readonly host: HostIdentity;
  /** Whether a daemon of this very host has ended. */
  readonly isEarlier: (daemon: DaemonMark) => boolean;
  readonly spaces: readonly string[];
  /** Another text each time. */
  readonly nonce: () => string;
  /** Of the session that an earlier life of the daemon had in this boot; undefined: none is known. */
  readonly note: SessionNote | undefined;
  /**
   * How long whoever asks waits for this host to join the first time since the kernel was started, in ms, as
   * it is configured now.
   */
  readonly joinMs: () => number;
  /**
   * Told what the next life of the daemon has to know, before anything is written to etcd.
   *
   * @returns why it could not be kept
   */
  readonly keep: (note: SessionNote) => string | undefined;
  /** Whether this host holds locks of the cluster. */
  readonly holds: () => boolean;
  /** How many it holds. */
  readonly held: () => number;
  /** Whether a lock is still there that this host had. */
  readonly has: (resource: Resource) => boolean;
  /** What the next proof looks at besides; undefined: nothing. */
  readonly look: () => KeyLook | undefined;
  /** Whether etcd has locks of this host that are about to be given back. */
  readonly givesBack: () => boolean;
  /**
   * Set where the host does not come back when it was made to leave, also while its daemon did not run: its
   * configuration names no cluster any more.
   */
  readonly parting?: boolean;
  /** Told that this host has left the cluster, behind {@link gaveUp}. */
  readonly left: () => void;
  /**
   * Told before that, and before another session is begun: etcd does not tell any more who has had the locks
   * of paused guests.
   */
  readonly marksGone: () => void;
  /**
   * Told that this host has given up all that etcd has for it, by somebody's word.
   *
   * @param doubt why each of its locks is in doubt since
   */
  readonly gaveUp: (doubt: string) => void;
  /** Puts in order what etcd has of this session. `done` gets why it could not, or what others have. */
  readonly reconcile: (
    epoch: Epoch,
    done: (outcome: string | readonly Conflict[]) => void,
    past: Past,
  ) => void;
  readonly observer: SessionObserver;
}

/** Told of changes. */
export interface SessionObserver {
  clusterJoined(session: string, cluster: string): void;
  /** Told once for each reason. */
  clusterTroubled(reason: string): void;
  clusterLost(reason: string): void;
  clusterRecovered(): void;
  /** Somebody was about to say that this host cannot write, and it objects. */
  clusterCondemned(fencing: Fencing): void;
  /** Somebody has said so for good. */
  clusterFenced(fencing: Fencing): void;
  /** This host has a lock that the cluster does not grant it. */
  clusterDoubtful(resource: Resource, reason: string): void;
}
