import { SIGKILL, SIGSTOP } from "../../../os/constants.ts";
import { ESRCH } from "../../../os/errno.ts";
import { readProcess } from "../../../os/process_state.ts";
import type { FileSys, ProcessSys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import type { OnLost } from "../../identity/cluster_settings.ts";
import { type Owner, ownerKey } from "../../lockspace/owner.ts";
import type { OwnerProcess } from "../../lockspace/owner_watch.ts";
import type { Resource } from "../../lockspace/resource.ts";
import { HELD_BY_ANOTHER, isClustersDoubt, isLoss } from "../session/doubts.ts";

/** What is known of an owner's process: "untold" where nothing tells which one it is. */
export type ToldProcess = OwnerProcess | "ended" | "untold";

/** What was done with a guest whose lock another host has got. */
export type LostGuest =
  | { readonly kind: "stopped" | "killed"; readonly owner: Owner; readonly resource: Resource }
  /** It runs on, although it should not. */
  | { readonly kind: "spared"; readonly owner: Owner; readonly resource: Resource; readonly reason: string };

/** Told of guests that run with a lock that another host has. */
export interface LostGuestsObserver {
  lostGuest(guest: LostGuest): void;
}

/** Told of locks that the cluster does not grant. */
export interface DoubtObserver {
  clusterDoubtful(resource: Resource, reason: string): void;
}

/** What dealing with such guests works with. */
export interface LostGuestsParts {
  readonly sys: Pick<ProcessSys, "pidfdSignal" | "pid"> & Pick<FileSys, "open" | "read" | "close">;
  /** What the configuration says now. */
  readonly onLost: () => OnLost;
  readonly processOf: (owner: Owner) => ToldProcess;
  readonly resources: () => Iterable<Resource>;
  readonly observer: LostGuestsObserver;
}

/** How far it is with a process: for what it was sent a signal, and whether it was seen to have stopped. */
type Dealt = "pause" | "kill" | "stopped" | "failed";

/**
 * Guests that run with a lock which another host has got: they are left running, stopped or killed, as the
 * configuration says. Only etcd's own answer that another session has the lock brings anybody here: that etcd
 * is away, or that something is not known, does nothing to a guest.
 *
 * A stopped guest is never let go on by the daemon. Whether it is stopped the kernel knows: nothing has to be
 * kept for the next life of the daemon.
 */
export class LostGuests {
  readonly #parts: LostGuestsParts;
  readonly #dealt = new WeakMap<OwnerProcess | Owner, Dealt>();
  /** Those that may stand still. */
  readonly #stopped = new Set<OwnerProcess>();

  constructor(parts: LostGuestsParts) {
    this.#parts = parts;
  }

  /** An observer that tells another one, and deals with guests that have lost their lock. */
  told<O extends DoubtObserver>(observer: O): O {
    return {
      ...observer,
      clusterDoubtful: (resource: Resource, reason: string) => {
        observer.clusterDoubtful(resource, reason);
        if (isLoss(reason)) this.taken(resource);
      },
    };
  }

  /** etcd has just said that another session has a lock that this host has. */
  taken(resource: Resource): void {
    if (!this.#isNobodysFault(resource)) this.#deal(resource);
  }

  /**
   * How many guests stand still, of those with locks which the cluster does not grant, and of those that were
   * stopped here: their locks may be had again.
   */
  get stopped(): number {
    for (const { state, holdings } of this.#parts.resources()) {
      if (!isClustersDoubt(state)) continue;
      for (const { owner } of holdings) {
        const process = this.#parts.processOf(owner);
        if (typeof process === "object") this.#stopped.add(process);
      }
    }
    for (const process of this.#stopped) {
      if (!this.#isStopped(process)) this.#stopped.delete(process);
    }
    return this.#stopped.size;
  }

  /** Two hosts had the lock when they met in the cluster: this one has not lost it. */
  #isNobodysFault({ state }: Resource): boolean {
    return state.kind === "doubtful" && state.reason === HELD_BY_ANOTHER;
  }

  #deal(resource: Resource): void {
    const { regrant, holdings } = resource;
    const onLost = this.#parts.onLost();
    // A guest that is paused does not run, and is not resumed.
    if (onLost === "report" || regrant === "parked" || regrant === "leaving") return;
    const owners = new Map(holdings.map(({ owner }) => [ownerKey(owner), owner]));
    for (const owner of owners.values()) {
      const process = this.#parts.processOf(owner);
      if (process === "ended") continue;
      if (process === "untold") this.#spare(owner, owner, resource, "nothing tells which process it is");
      else this.#signal(onLost, process, owner, resource);
    }
  }

  #signal(onLost: "pause" | "kill", process: OwnerProcess, owner: Owner, resource: Resource): void {
    const { sys, observer } = this.#parts;
    const { pid, pidfd } = process;
    if (pid === 1 || pid === sys.pid()) {
      return this.#spare(process, owner, resource, `process ${pid} is no guest`);
    }
    if (onLost === "pause") {
      this.#stopped.add(process);
      if (this.#isStopped(process)) {
        this.#dealt.set(process, "stopped");
        return;
      }
    }
    const result = sys.pidfdSignal(pidfd, onLost === "pause" ? SIGSTOP : SIGKILL);
    // It has ended, and the watch is about to hear of it.
    if (result === -ESRCH) return;
    if (result !== 0) {
      const { message } = new SystemError("pidfd_send_signal", `process ${pid}`, result);
      return this.#spare(process, owner, resource, message);
    }
    // What waits for its storage stops or ends when that has answered.
    if (this.#dealt.get(process) === onLost) return;
    this.#dealt.set(process, onLost);
    observer.lostGuest({ kind: onLost === "pause" ? "stopped" : "killed", owner, resource });
  }

  /** @param known what it is known by when it is met again */
  #spare(known: OwnerProcess | Owner, owner: Owner, resource: Resource, reason: string): void {
    if (this.#dealt.get(known) === "failed") return;
    this.#dealt.set(known, "failed");
    this.#parts.observer.lostGuest({ kind: "spared", owner, resource, reason });
  }

  #isStopped({ pid, start }: OwnerProcess): boolean {
    const state = readProcess(this.#parts.sys, pid);
    return typeof state === "object" && state.stopped && (start === 0 || state.startTime === start);
  }
}
