import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import { EPOLLIN, F_DUPFD_CLOEXEC } from "../../os/constants.ts";
import { EACCES, EINVAL, ENOENT, EPERM, ESRCH } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { EventSys, FileSys, ProcessSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import { processState, readProcess } from "../../os/process_state.ts";

/** The process of an owner. */
export interface OwnerProcess {
  readonly key: OwnerKey;
  /** As the daemon sees it; the owner itself may call it by another pid. */
  readonly pid: number;
  /** Start time in clock ticks since boot; 0 when unknown. */
  readonly start: number;
  /** Belongs to the watch until the process has ended. */
  readonly pidfd: number;
}

/** What tells a process from a later one of the same pid. */
export interface ProcessMark {
  /** As the daemon sees it. */
  readonly pid: number;
  /** Start time in clock ticks since boot; 0 when nothing tells the process. */
  readonly start: number;
}

/** When no process that owns anything was started: in the first tick of the kernel. */
const NEVER = 1;

/**
 * The mark of an owner whose process is known to have ended: no process is taken for it, whoever has its pid
 * by now.
 */
export function endedMark({ pid, hostPid }: Owner): ProcessMark {
  return { pid: hostPid ?? pid, start: NEVER };
}

/** Linux gives no process a pid from here on (PID_MAX_LIMIT of linux/threads.h). */
const NO_PID = 4_194_304;

type WatchSys =
  & Pick<FileSys, "open" | "read" | "close" | "fcntl">
  & Pick<EventSys, "pollReadable">
  & Pick<ProcessSys, "pidfdOpen">;

/**
 * Watches the process of every owner, from the moment it is about to own something until it has ended,
 * whoever asks for it.
 *
 * A process is only believed to have ended when its own pidfd says so. That pidfd is a copy of the one from
 * accept where the owner has a connection itself; else it is opened when the owner is first heard of, which
 * is only done for pids of the daemon's own namespace. Whoever is not watched cannot be judged: what such an
 * owner has stays until it is released.
 */
export class OwnerWatch {
  readonly #sys: WatchSys;
  readonly #loop: EventLoop;
  readonly #ledger: DescriptorLedger;
  readonly #watched = new Map<OwnerKey, OwnerProcess>();
  /** Connections of owners themselves. */
  readonly #holders = new Map<OwnerKey, Set<Peer>>();
  /** Owners that were found to have no process to be watched: they are not looked for at each request. */
  readonly #unwatchable = new WeakSet<Owner>();
  #ended: (process: OwnerProcess) => void = () => {};

  constructor(parts: { sys: WatchSys; loop: EventLoop; ledger: DescriptorLedger }) {
    this.#sys = parts.sys;
    this.#loop = parts.loop;
    this.#ledger = parts.ledger;
  }

  /** Who is told when a process has ended. */
  onEnd(ended: (process: OwnerProcess) => void): void {
    this.#ended = ended;
  }

  /** Every process that is watched. */
  get processes(): Iterable<OwnerProcess> {
    return this.#watched.values();
  }

  /**
   * Processes of guests that live, as the daemon sees them: those that are watched, and those that have
   * registered themselves and have not asked for anything yet. Such a one may have its images open by then.
   */
  get guests(): ReadonlySet<number> {
    const guests = new Set<number>();
    for (const { pid } of this.#watched.values()) guests.add(pid);
    for (const peers of this.#holders.values()) {
      for (const { pid, pidfd } of peers) if (pidfd >= 0) guests.add(pid);
    }
    return guests;
  }

  /** The process of an owner; undefined when it cannot be judged, or has ended. */
  processOf(key: OwnerKey): OwnerProcess | undefined {
    return this.#watched.get(key);
  }

  /** The process at the other end of a connection is this owner itself. */
  connected(owner: Owner, peer: Peer): void {
    const key = ownerKey(owner);
    const peers = this.#holders.get(key);
    if (peers === undefined) this.#holders.set(key, new Set([peer]));
    else peers.add(peer);
  }

  /** That connection has ended, or speaks for somebody else. */
  disconnected(owner: Owner, peer: Peer): void {
    const key = ownerKey(owner);
    const peers = this.#holders.get(key);
    peers?.delete(peer);
    if (peers?.size === 0) this.#holders.delete(key);
  }

  /** Whether an owner's process has ended, though nobody was told of it yet. */
  hasEnded(key: OwnerKey): boolean {
    const process = this.#watched.get(key);
    return process !== undefined && this.#sys.pollReadable(process.pidfd, 0) > 0;
  }

  /** Connections that the owner's own process has made. */
  connections(key: OwnerKey): Iterable<Peer> {
    return this.#holders.get(key) ?? [];
  }

  /** Nobody can say in which pid namespace this owner's pid is meant: it cannot be judged. */
  leaveUnwatched(owner: Owner): void {
    this.#unwatchable.add(owner);
  }

  /**
   * An owner is about to get something: from now on its process is watched, if there is one that can be.
   *
   * @returns why it must get nothing: with ESRCH its process has ended, so that nothing would ever tell when
   *   its locks may go; else it could not be watched, though it may well be there
   */
  begin(owner: Owner): SystemError | undefined {
    const key = ownerKey(owner);
    if (this.#watched.has(key)) return undefined;
    const [connection] = this.connections(key);
    if (connection !== undefined) return this.#copy(key, connection);
    if (this.#unwatchable.has(owner)) return undefined;
    const { pid, namespace } = owner;
    if (namespace === undefined && pid > 0 && pid < NO_PID) return this.#open(key, pid);
    this.#unwatchable.add(owner);
    return undefined;
  }

  /**
   * Goes on watching a process that an earlier life has watched.
   *
   * @param process its pidfd becomes the watch's
   */
  resume(process: OwnerProcess): void {
    const { pidfd, key } = process;
    this.#ledger.own(pidfd, "pidfd");
    if (this.#watched.has(key)) this.#ledger.close(pidfd);
    else this.#add(process);
  }

  /** What will tell the owner's process in a later life of the daemon. */
  markOf(owner: Owner): ProcessMark {
    const watched = this.#watched.get(ownerKey(owner));
    if (watched !== undefined) return watched;
    const { pid, hostPid, namespace } = owner;
    const seen = hostPid ?? pid;
    const told = !this.#unwatchable.has(owner) && (hostPid !== undefined || namespace === undefined);
    return { pid: seen, start: told ? processState(this.#sys, seen)?.startTime ?? 0 : 0 };
  }

  /** Begins to watch a process of the daemon's own namespace. */
  #open(key: OwnerKey, pid: number): SystemError | undefined {
    const failed = (result: number) => new SystemError("pidfd_open", `process ${pid}`, result);
    const pidfd = this.#sys.pidfdOpen(pid);
    // A thread has this number now, so the process that had it is gone (pidfd_open(2): EINVAL, later ENOENT).
    if (pidfd === -EINVAL || pidfd === -ENOENT) return failed(-ESRCH);
    if (pidfd < 0) return failed(pidfd);
    // It has ended, and nobody has waited for it.
    if (this.#sys.pollReadable(pidfd, 0) > 0) {
      this.#sys.close(pidfd);
      return failed(-ESRCH);
    }
    return this.#watch(key, pid, pidfd);
  }

  #copy(key: OwnerKey, { pid, pidfd }: Peer): SystemError | undefined {
    // It was gone at accept. A child of it may have its connection still.
    if (pidfd < 0) return new SystemError("pidfd_open", `process ${pid}`, ESRCH);
    const copy = this.#sys.fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return new SystemError("fcntl F_DUPFD_CLOEXEC", `pidfd of process ${pid}`, copy);
    return this.#watch(key, pid, copy);
  }

  /** @param pidfd becomes the watch's, or is closed */
  #watch(key: OwnerKey, pid: number, pidfd: number): SystemError | undefined {
    // Read behind the opening: while the process lives its pid cannot be another's.
    const state = readProcess(this.#sys, pid);
    // Without its start time it could not be told after a crash. One that has just ended says so by its
    // pidfd, and where it may not be seen (hidepid in proc(5)) it is watched all the same.
    if (typeof state === "number" && ![-ESRCH, -EACCES, -EPERM].includes(state)) {
      this.#sys.close(pidfd);
      return new SystemError("read", `/proc/${pid}/stat`, state);
    }
    this.#ledger.own(pidfd, "pidfd");
    this.#add({ key, pid, start: typeof state === "number" ? 0 : state.startTime, pidfd });
    return undefined;
  }

  #add(process: OwnerProcess): void {
    const { key, pidfd } = process;
    this.#watched.set(key, process);
    this.#loop.add(pidfd, EPOLLIN, () => {
      this.#loop.remove(pidfd);
      this.#watched.delete(key);
      this.#ended(process);
      this.#ledger.close(pidfd);
    });
  }
}
