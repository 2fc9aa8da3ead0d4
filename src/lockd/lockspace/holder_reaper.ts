import type { EventLoop, Timer } from "../../chassis/event/event_loop.ts";
import { SIGKILL, SIGTERM } from "../../os/constants.ts";
import { ESRCH } from "../../os/errno.ts";
import type { FileSys, ProcessSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import type { LockTable } from "./lock_table.ts";
import { type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import { endedMark, type OwnerProcess, type OwnerWatch, type ProcessMark } from "./owner_watch.ts";
import type { Resource } from "./resource.ts";
import { processState } from "../../os/process_state.ts";

/**
 * How long a holder may take to end after SIGTERM before it gets SIGKILL, in ms. docs/protocol.md, Lock
 * program.
 */
const TERM_GRACE_MS = 1600;

/** A holder whose connection ended and whose process is being ended. */
export interface DyingHolder {
  readonly key: OwnerKey;
  /** As the daemon sees it. */
  readonly pid: number;
  /** Belongs to the watch until the process is gone. */
  readonly pidfd: number;
  /** Unix milliseconds at which its connection ended. */
  readonly since: number;
  /** Whether SIGKILL was sent. */
  killed: boolean;
}

/** An owner whose process is gone. */
export interface EndedOwner {
  readonly key: OwnerKey;
  /** As the daemon saw it. */
  readonly pid: number;
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
  gone(owner: EndedOwner, owned: readonly Resource[], signalled: boolean): void;
  /** All that it had is released: it may be forgotten. */
  settled(owner: EndedOwner): void;
}

/** What can be said of an owner's process. */
export type Judgement =
  /** `pid`: as the daemon sees it. */
  | { readonly kind: "alive"; readonly pid: number }
  | { readonly kind: "dead" }
  /** Nothing proves that it lives, and nothing that it does not. */
  | { readonly kind: "unjudged" };

type ReaperSys =
  & Pick<ProcessSys, "pidfdSignal">
  & Pick<FileSys, "open" | "read" | "close">;

/**
 * Ends holders whose connection has ended: first the process, then its locks. And frees what owners have
 * whose process is gone, whether it had a connection or not.
 *
 * The locks guard a disk against the process itself, so they go only when the kernel says that it is gone.
 * Signals go through a pidfd: a recycled pid is never hit. Everybody else is served meanwhile.
 */
export class HolderReaper {
  readonly #sys: ReaperSys;
  readonly #loop: EventLoop;
  readonly #watch: OwnerWatch;
  readonly #table: LockTable;
  readonly #observer: ReaperObserver;
  readonly #now: () => number;
  readonly #dying = new Map<
    OwnerKey,
    { holder: DyingHolder; timer: Timer | undefined; signalled: boolean }
  >();
  /** Owners whose process is gone while they still have something, or were about to get it. */
  readonly #gone = new Map<OwnerKey, EndedOwner>();
  /** How often each of them is being freed. */
  readonly #freeing = new Map<OwnerKey, number>();

  constructor(parts: {
    sys: ReaperSys;
    loop: EventLoop;
    watch: OwnerWatch;
    table: LockTable;
    observer: ReaperObserver;
    /** Unix milliseconds. */
    now: () => number;
  }) {
    this.#sys = parts.sys;
    this.#loop = parts.loop;
    this.#watch = parts.watch;
    this.#table = parts.table;
    this.#observer = parts.observer;
    this.#now = parts.now;
    this.#watch.onEnd((process) => this.#ended(process));
  }

  /** Holders that are being ended. */
  get dying(): readonly DyingHolder[] {
    return [...this.#dying.values()].map((entry) => entry.holder);
  }

  /** Owners whose process is gone while they still have something. */
  get ended(): readonly EndedOwner[] {
    return [...this.#gone.values()];
  }

  /** Whether an owner's process lives. */
  judge(owner: Owner): Judgement {
    const key = ownerKey(owner);
    const process = this.#watch.processOf(key);
    if (process !== undefined) return { kind: "alive", pid: process.pid };
    return { kind: this.#gone.has(key) ? "dead" : "unjudged" };
  }

  /** What will tell an owner's process in a later life of the daemon: of one that is gone, that it is. */
  markOf(owner: Owner): ProcessMark {
    return this.judge(owner).kind === "dead" ? endedMark(owner) : this.#watch.markOf(owner);
  }

  /**
   * The connection of an owner's own process has ended, while it may own locks. Called before the watch is
   * told.
   */
  end(owner: Owner): void {
    const key = ownerKey(owner);
    if (!this.#table.owns(key) || this.#dying.has(key) || this.#gone.has(key)) return;
    const failure = this.#watch.begin(owner);
    if (failure !== undefined && failure.errno !== ESRCH) {
      return this.#observer.signalFailed(owner.pid, failure, this.#table.ownedBy(key));
    }
    const process = this.#watch.processOf(key);
    // It was gone at accept already.
    if (process === undefined) return this.free({ key, pid: owner.pid });
    this.#table.markDying(key);
    const holder: DyingHolder = {
      key,
      pid: process.pid,
      pidfd: process.pidfd,
      since: this.#now(),
      killed: false,
    };
    this.#await(holder, TERM_GRACE_MS);
    // A guest that ends by itself closes its connection a moment before it is gone: that one needs no signal.
    if (processState(this.#sys, process.pid)?.exiting !== true) this.#signal(key, SIGTERM);
  }

  /** Goes on with a holder that an earlier image of the daemon was ending. The watch has its process. */
  resume(holder: DyingHolder): void {
    this.#table.markDying(holder.key);
    const waited = this.#now() - holder.since;
    this.#await(
      holder,
      holder.killed ? undefined : Math.max(0, Math.min(TERM_GRACE_MS, TERM_GRACE_MS - waited)),
    );
  }

  /**
   * An owner's process is gone: frees what it has. Whatever finds a dead owner comes here, and nothing else
   * frees its locks.
   *
   * @param signalled whether this daemon ended it
   */
  free(owner: EndedOwner, signalled = false): void {
    const { key } = owner;
    const owned = this.#table.ownedBy(key);
    if (owned.length === 0 && !this.#table.isDying(key) && !this.#table.asks(key)) return;
    this.#gone.set(key, owner);
    this.#observer.gone(owner, owned, signalled);
    this.#freeing.set(key, (this.#freeing.get(key) ?? 0) + 1);
    this.#table.releaseAll(key, () => {
      const left = (this.#freeing.get(key) ?? 1) - 1;
      // What it had got before may still wait for its last writes.
      if (left > 0) return void this.#freeing.set(key, left);
      this.#freeing.delete(key);
      if (!this.#table.owns(key) && !this.#table.asks(key)) this.#gone.delete(key);
      this.#observer.settled(owner);
    });
  }

  /** An owner got something. Slow storage may have taken so long for it that the owner is gone. */
  granted(owner: Owner): void {
    if (this.#gone.size === 0) return;
    const key = ownerKey(owner);
    if (this.#gone.has(key) && this.#watch.processOf(key) === undefined) this.free({ key, pid: owner.pid });
  }

  #await(holder: DyingHolder, grace: number | undefined): void {
    const { key } = holder;
    const timer = grace === undefined ? undefined : this.#loop.after(grace, () => this.#kill(key));
    this.#dying.set(key, { holder, timer, signalled: holder.killed });
    this.#observer.dying(holder);
  }

  #kill(key: OwnerKey): void {
    const entry = this.#dying.get(key);
    if (entry === undefined) return;
    entry.holder.killed = true;
    this.#observer.dying(entry.holder);
    this.#signal(key, SIGKILL);
  }

  #signal(key: OwnerKey, signal: number): void {
    const entry = this.#dying.get(key);
    if (entry === undefined) return;
    const { pid, pidfd } = entry.holder;
    const result = this.#sys.pidfdSignal(pidfd, signal);
    if (result === 0) {
      entry.signalled = true;
      const name = signal === SIGTERM ? "SIGTERM" : "SIGKILL";
      this.#observer.signalled(pid, name, this.#table.ownedBy(key));
    } else if (result !== -ESRCH) {
      const error = new SystemError("pidfd_send_signal", `process ${pid}`, result);
      this.#observer.signalFailed(pid, error, this.#table.ownedBy(key));
    }
  }

  #ended({ key, pid }: OwnerProcess): void {
    const entry = this.#dying.get(key);
    entry?.timer?.cancel();
    this.#dying.delete(key);
    this.#table.ended(key);
    this.free({ key, pid }, entry?.signalled ?? false);
  }
}
