import { EPOLLIN } from "../../os/constants.ts";
import { EVENT_BATCH } from "../../os/event_sys.ts";
import { ENOMEM, ENOSPC } from "../../os/errno.ts";
import { getLog } from "../log/log.ts";
import { must, SystemError } from "../../os/system_error.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import { Polling } from "./polling.ts";

const log = getLog("event.loop", "src/chassis/event/event_loop.ts");
const ADD = 1;
const DELETE = 2;
const MODIFY = 3;

/** Called with the epoll event bits of its descriptor. Must not block, throw or wait for anything. */
export type EventHandler = (events: number) => void;

/** A pending {@link EventLoop.after}. */
export interface Timer {
  /** Monotonic milliseconds at which it fires. */
  readonly due: number;
  /** Forgets it. Harmless when it has fired or was cancelled. */
  cancel(): void;
}

/**
 * How long the loop polls before it sleeps, in ms.
 *
 * Waking a sleeping process on another CPU costs about 50 us; a client that sends its next request at once is
 * served three times as fast when the loop is still awake.
 */
const SPIN_MS = 0.05;
/** After so many ms it is tried again to watch what the kernel had no memory to watch. */
const WATCH_AGAIN_MS = 100;

type EventLoopSys = EventSys & Pick<FileSys, "close" | "read">;

/**
 * The one thread of the daemon: a synchronous loop over one epoll set.
 *
 * Nothing in it yields to JavaScript's own event loop: no promise, timer or listener runs while it does. A
 * handler may remove any descriptor, also one whose event is still to be dispatched in the same batch: that
 * event is dropped.
 */
export class EventLoop {
  readonly #sys: EventLoopSys;
  readonly #epoll: number;
  readonly #timerFd: number;
  readonly #handlers: (EventHandler | undefined)[] = [];
  /** Descriptors whose events come behind the others of their batch. */
  readonly #late = new Set<number>();
  /** Events wanted of descriptors that the kernel could not watch yet. */
  readonly #unwatched = new Map<number, number>();
  readonly #timers = new Set<Timer & { run: () => void }>();
  readonly #fds = new Int32Array(EVENT_BATCH);
  readonly #events = new Uint32Array(EVENT_BATCH);
  readonly #expirations = new Uint8Array(8);
  #deferred: (() => void)[] = [];
  #armedFor = Infinity;
  #current = 0;
  #batch = 0;
  readonly #polling = new Polling();
  #running = false;

  /** @throws SystemError when the kernel gives no epoll or timer descriptor */
  constructor(sys: EventLoopSys) {
    this.#sys = sys;
    this.#epoll = must(sys.epollCreate(), "epoll_create1", "event loop");
    this.#timerFd = must(sys.timerCreate(), "timerfd_create", "event loop");
    this.#handlers[this.#timerFd] = () => this.#expire();
    this.#watch(this.#timerFd, EPOLLIN);
  }

  /** The loop's own descriptors; they belong to the loop until {@link close}. */
  get descriptors(): readonly number[] {
    return [this.#epoll, this.#timerFd];
  }

  /**
   * Watches a descriptor. The caller keeps owning it and must {@link remove} it before closing it.
   *
   * When the kernel has no room for it (ENOSPC, ENOMEM), that is logged and tried again until it has: the
   * events only come later.
   *
   * @param when `late`: its events are dispatched behind all others of the same batch, and behind what those
   *   have deferred
   * @throws SystemError for a descriptor that cannot be watched (EPERM for a regular file)
   */
  add(fd: number, events: number, handler: EventHandler, when: "in order" | "late" = "in order"): void {
    try {
      this.#watch(fd, events);
    } catch (error) {
      const later = error instanceof SystemError && (error.errno === ENOSPC || error.errno === ENOMEM);
      if (!later) throw error;
      log.error(`${error.message}; trying again`);
      this.#watchLater(fd, events);
    }
    this.#handlers[fd] = handler;
    if (when === "late") this.#late.add(fd);
  }

  /**
   * Changes the events a watched descriptor waits for. 0 leaves only errors and hang-ups.
   *
   * @throws SystemError for a descriptor that is not watched, or was closed before it was {@link remove}d
   */
  modify(fd: number, events: number): void {
    if (this.#unwatched.has(fd)) {
      this.#unwatched.set(fd, events);
      return;
    }
    must(this.#sys.epollControl(this.#epoll, MODIFY, fd, events), "epoll_ctl modify", `descriptor ${fd}`);
  }

  /**
   * Stops watching; harmless for a descriptor that is not watched.
   *
   * @throws SystemError for one that was closed before
   */
  remove(fd: number): void {
    if (this.#handlers[fd] === undefined) return;
    this.#handlers[fd] = undefined;
    this.#late.delete(fd);
    if (this.#unwatched.delete(fd)) return;
    // The number may be given to a new descriptor before the rest of this batch is dispatched.
    for (let index = 0; index < this.#batch; index++) {
      if (this.#fds[index] === fd) this.#events[index] = 0;
    }
    must(this.#sys.epollControl(this.#epoll, DELETE, fd, 0), "epoll_ctl delete", `descriptor ${fd}`);
  }

  /** Whether more events wait behind the one that is being dispatched. */
  get more(): boolean {
    return this.#current + 1 < this.#batch;
  }

  /** Runs `task` after the events of the current batch, before the loop sleeps. */
  defer(task: () => void): void {
    this.#deferred.push(task);
  }

  /** Runs `task` once, `milliseconds` from now. */
  after(milliseconds: number, task: () => void): Timer {
    const timer = {
      due: this.#sys.monotonic() + milliseconds,
      run: task,
      cancel: () => void this.#timers.delete(timer),
    };
    this.#timers.add(timer);
    this.#arm();
    return timer;
  }

  /** Serves until {@link stop}. */
  run(): void {
    this.#running = true;
    while (this.#running) this.turn(-1);
  }

  /** Makes {@link run} return after the current turn. */
  stop(): void {
    this.#running = false;
  }

  /**
   * Waits for events at most `timeout` ms (-1: no limit), dispatches them, then the deferred tasks.
   *
   * @returns how many events were dispatched
   */
  turn(timeout: number): number {
    const count = this.#deferred.length > 0
      ? this.#wait(0)
      : timeout === 0
      ? this.#wait(0)
      : this.#idle(timeout);
    this.#batch = count;
    if (this.#dispatch(false)) {
      this.#runDeferred();
      this.#dispatch(true);
    }
    this.#batch = 0;
    this.#runDeferred();
    return count;
  }

  /** Closes the loop's own descriptors. */
  close(): void {
    this.#sys.close(this.#timerFd);
    this.#sys.close(this.#epoll);
  }

  /**
   * Dispatches the events of the batch that are late, or those that are not.
   *
   * @returns whether there are others
   */
  #dispatch(late: boolean): boolean {
    let left = false;
    for (let index = 0; index < this.#batch; index++) {
      this.#current = index;
      const events = this.#events[index] as number;
      if (events === 0) continue;
      const fd = this.#fds[index] as number;
      if (this.#late.has(fd) === late) this.#handlers[fd]?.(events);
      else left = true;
    }
    return left;
  }

  #runDeferred(): void {
    if (this.#deferred.length === 0) return;
    const tasks = this.#deferred;
    this.#deferred = [];
    for (const task of tasks) task();
  }

  #watch(fd: number, events: number): void {
    must(this.#sys.epollControl(this.#epoll, ADD, fd, events), "epoll_ctl add", `descriptor ${fd}`);
  }

  #watchLater(fd: number, events: number): void {
    if (this.#unwatched.size === 0) this.after(WATCH_AGAIN_MS, () => this.#watchAgain());
    this.#unwatched.set(fd, events);
  }

  #watchAgain(): void {
    for (const [fd, events] of this.#unwatched) {
      if (this.#sys.epollControl(this.#epoll, ADD, fd, events) >= 0) this.#unwatched.delete(fd);
    }
    if (this.#unwatched.size > 0) this.after(WATCH_AGAIN_MS, () => this.#watchAgain());
  }

  #wait(timeout: number): number {
    return must(
      this.#sys.epollWait(this.#epoll, this.#fds, this.#events, timeout),
      "epoll_wait",
      "event loop",
    );
  }

  /** Polls a little while requests come quickly, then sleeps. */
  #idle(timeout: number): number {
    const polling = this.#polling;
    const begun = this.#sys.monotonic();
    if (!polling.on) {
      const count = this.#wait(timeout);
      polling.slept(this.#sys.monotonic() - begun);
      return count;
    }
    for (let before = begun; polling.on && before - begun < SPIN_MS;) {
      const count = this.#wait(0);
      // The client may be on this CPU, and have its request ready as soon as it runs.
      if (count === 0) this.#sys.yieldCpu();
      const now = this.#sys.monotonic();
      polling.polled(count > 0, now - before);
      if (count > 0) return count;
      before = now;
    }
    polling.inVain();
    return this.#wait(timeout);
  }

  #arm(): void {
    let earliest = Infinity;
    for (const timer of this.#timers) if (timer.due < earliest) earliest = timer.due;
    if (earliest >= this.#armedFor) return;
    this.#armedFor = earliest;
    // 0 would disarm; a timer that is already due fires as soon as it can.
    const wait = Math.max(0.001, earliest - this.#sys.monotonic());
    must(this.#sys.timerSet(this.#timerFd, wait), "timerfd_settime", "event loop");
  }

  #expire(): void {
    // Read to take the event away, not for what it says: a read that fails leaves the event, and so comes
    // again.
    this.#sys.read(this.#timerFd, this.#expirations);
    this.#armedFor = Infinity;
    const now = this.#sys.monotonic();
    for (const timer of [...this.#timers]) {
      // A callback may have cancelled one that was due in the same moment.
      if (timer.due <= now && this.#timers.delete(timer)) timer.run();
    }
    this.#arm();
  }
}
