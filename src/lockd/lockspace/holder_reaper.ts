import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import { EPOLLIN, SIGKILL, SIGTERM } from "../../os/constants.ts";
import { ESRCH } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { EventSys, FileSys, ProcessSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { LockTable } from "./lock_table.ts";
import type { Resource } from "./resource.ts";
import { processState } from "./process_state.ts";

/**
 * How long a holder may take to end after SIGTERM before it gets SIGKILL, in ms. docs/protocol.md, Lock
 * program.
 */
export const TERM_GRACE_MS = 1600;

/** A holder whose connection ended and whose process is being ended. */
export interface DyingHolder {
  readonly pid: number;
  /** Owned by the reaper until the process is gone. */
  readonly pidfd: number;
  /** Unix milliseconds at which its connection ended. */
  readonly since: number;
  /** Whether SIGKILL was sent. */
  killed: boolean;
}

/** Told what happens to holders. */
export interface ReaperObserver {
  /** The process was sent a signal. `owned`: what it holds, which stays until it is gone. */
  signalled(pid: number, signal: "SIGTERM" | "SIGKILL", owned: readonly Resource[]): void;
  /** The process could not be signalled: its locks stay until it ends. */
  signalFailed(pid: number, error: SystemError, owned: readonly Resource[]): void;
  /** Began to wait for the process. */
  dying(holder: DyingHolder): void;
  /** The process is gone; its locks are released now. `signalled`: it was killed by this daemon. */
  gone(pid: number, owned: readonly Resource[], signalled: boolean): void;
  /** All that it had is released: it may be forgotten. */
  settled(pid: number): void;
}

type ReaperSys =
  & Pick<EventSys, "pollReadable">
  & Pick<ProcessSys, "pidfdSignal">
  & Pick<FileSys, "open" | "read" | "close">;

/**
 * Ends holders whose connection has ended: first the process, then its locks.
 *
 * The locks guard a disk against the process itself, so they go only when the kernel says that it is gone.
 * Signals go through a pidfd taken at accept: a recycled pid is never hit. Everybody else is served
 * meanwhile.
 */
export class HolderReaper {
  readonly #sys: ReaperSys;
  readonly #loop: EventLoop;
  readonly #ledger: DescriptorLedger;
  readonly #table: LockTable;
  readonly #observer: ReaperObserver;
  readonly #now: () => number;
  readonly #dying = new Map<number, { holder: DyingHolder; timer: Timer | undefined; signalled: boolean }>();

  constructor(parts: {
    sys: ReaperSys;
    loop: EventLoop;
    ledger: DescriptorLedger;
    table: LockTable;
    observer: ReaperObserver;
    /** Unix milliseconds. */
    now: () => number;
  }) {
    this.#sys = parts.sys;
    this.#loop = parts.loop;
    this.#ledger = parts.ledger;
    this.#table = parts.table;
    this.#observer = parts.observer;
    this.#now = parts.now;
  }

  /** Holders that are being ended. */
  get dying(): readonly DyingHolder[] {
    return [...this.#dying.values()].map((entry) => entry.holder);
  }

  /**
   * The connection of the process `pid` ended while it may own locks.
   *
   * @param pidfd its pidfd, whose ownership passes to the reaper; -1 when it was gone already at accept
   */
  end(pid: number, pidfd: number): void {
    if (!this.#table.owns(pid) || this.#dying.has(pid)) {
      if (pidfd >= 0) this.#ledger.close(pidfd);
      return;
    }
    this.#table.markDying(pid);
    if (pidfd < 0 || this.#sys.pollReadable(pidfd, 0) > 0) {
      if (pidfd >= 0) this.#ledger.close(pidfd);
      return this.#gone(pid, false);
    }
    const holder: DyingHolder = { pid, pidfd, since: this.#now(), killed: false };
    this.#watch(holder, TERM_GRACE_MS);
    // A guest that ends by itself closes its connection a moment before it is gone: that one needs no signal.
    if (processState(this.#sys, pid)?.exiting !== true) this.#signal(pid, SIGTERM);
  }

  /** Goes on with a holder that an earlier image of the daemon was ending. */
  resume(holder: DyingHolder): void {
    this.#table.markDying(holder.pid);
    const waited = this.#now() - holder.since;
    this.#watch(
      holder,
      holder.killed ? undefined : Math.max(0, Math.min(TERM_GRACE_MS, TERM_GRACE_MS - waited)),
    );
  }

  #watch(holder: DyingHolder, grace: number | undefined): void {
    const { pid } = holder;
    const timer = grace === undefined ? undefined : this.#loop.after(grace, () => this.#kill(pid));
    this.#dying.set(pid, { holder, timer, signalled: holder.killed });
    this.#loop.add(holder.pidfd, EPOLLIN, () => this.#ended(pid));
    this.#observer.dying(holder);
  }

  #kill(pid: number): void {
    const entry = this.#dying.get(pid);
    if (entry === undefined) return;
    entry.holder.killed = true;
    this.#observer.dying(entry.holder);
    this.#signal(pid, SIGKILL);
  }

  #signal(pid: number, signal: number): void {
    const entry = this.#dying.get(pid);
    if (entry === undefined) return;
    const result = this.#sys.pidfdSignal(entry.holder.pidfd, signal);
    if (result === 0) {
      entry.signalled = true;
      const name = signal === SIGTERM ? "SIGTERM" : "SIGKILL";
      this.#observer.signalled(pid, name, this.#table.ownedBy(pid));
    } else if (result !== -ESRCH) {
      const error = new SystemError("pidfd_send_signal", `process ${pid}`, result);
      this.#observer.signalFailed(pid, error, this.#table.ownedBy(pid));
    }
  }

  #ended(pid: number): void {
    const entry = this.#dying.get(pid);
    if (entry === undefined) return;
    entry.timer?.cancel();
    this.#dying.delete(pid);
    this.#loop.remove(entry.holder.pidfd);
    this.#ledger.close(entry.holder.pidfd);
    this.#gone(pid, entry.signalled);
  }

  #gone(pid: number, signalled: boolean): void {
    this.#observer.gone(pid, this.#table.ownedBy(pid), signalled);
    this.#table.releaseAll(pid, () => this.#observer.settled(pid));
  }
}
