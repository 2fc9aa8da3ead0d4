import { F_DUPFD_CLOEXEC, SIGKILL } from "../../src/os/constants.ts";
import { ESRCH } from "../../src/os/errno.ts";
import { must } from "../../src/os/system_error.ts";
import type { PeerCredentials, Sys } from "../../src/os/sys.ts";
import type { Random } from "../support/random.ts";

/** An eventfd stands for a pidfd: readable means that the process is gone. */
const GONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/**
 * Makes the clients of a server in this process look like processes of their own, which can be killed and
 * die.
 */
export class FakeProcesses {
  readonly #sys: Sys;
  readonly #random: Random;
  /** Pid of the process that connects next. */
  next = 0;
  /** Pids that are gone; their pidfds say so. */
  readonly #gone = new Set<number>();
  readonly #pidfds = new Map<number, number>();
  readonly #signalled: number[] = [];
  /** Pids that are none of this machine's. */
  readonly #made = new Set<number>();

  constructor(sys: Sys, random: Random) {
    this.#sys = sys;
    this.#random = random;
  }

  /** The calls that this changes. A client must be accepted before {@link next} is set for another. */
  overrides(): Pick<
    Sys,
    "peerCredentials" | "peerPidfd" | "pidfdOpen" | "pidfdSignal" | "peerSecurity" | "fcntl"
  > {
    return {
      fcntl: (fd, command, value) => {
        const result = this.#sys.fcntl(fd, command, value);
        const pid = this.#pidfds.get(fd);
        if (command === F_DUPFD_CLOEXEC && pid !== undefined) this.#pidfds.set(result, pid);
        return result;
      },
      peerCredentials: (fd: number, into: PeerCredentials) => {
        const result = this.#sys.peerCredentials(fd, into);
        into.pid = this.next;
        this.#made.add(this.next);
        return result;
      },
      peerPidfd: () => this.#pidfd(this.next),
      pidfdOpen: (pid) => this.#made.has(pid) ? this.#pidfd(pid) : this.#sys.pidfdOpen(pid),
      peerSecurity: () => "",
      pidfdSignal: (pidfd, signal) => this.#signal(pidfd, signal),
    };
  }

  /** Lets every process that got a signal end now. @returns how many */
  reap(): number {
    const doomed = this.#signalled.splice(0);
    doomed.forEach((pidfd) => this.#endByPidfd(pidfd));
    return doomed.length;
  }

  /** Whether a process has ended. */
  isGone(pid: number): boolean {
    return this.#gone.has(pid);
  }

  /** Whether a descriptor is a pidfd of a process that lives. */
  names(fd: number): boolean {
    const pid = this.#pidfds.get(fd);
    return pid !== undefined && !this.#gone.has(pid);
  }

  /** Ends a process. */
  end(pid: number): void {
    this.#gone.add(pid);
    for (const [fd, owner] of this.#pidfds) if (owner === pid) this.#sys.write(fd, GONE);
  }

  /** A pidfd was closed. */
  closed(fd: number): void {
    this.#pidfds.delete(fd);
    const at = this.#signalled.indexOf(fd);
    if (at >= 0) this.#signalled.splice(at, 1);
  }

  /** New processes may have the pids of those that are gone. */
  forget(): void {
    this.#gone.clear();
  }

  #pidfd(pid: number): number {
    if (this.#gone.has(pid)) return -ESRCH;
    const fd = must(this.#sys.eventfd(), "eventfd", "pidfd");
    this.#pidfds.set(fd, pid);
    return fd;
  }

  #signal(pidfd: number, signal: number): number {
    const pid = this.#pidfds.get(pidfd);
    if (pid === undefined) return this.#sys.pidfdSignal(pidfd, signal);
    if (this.#gone.has(pid)) return -ESRCH;
    // Some take their time to end.
    if (signal === SIGKILL || this.#random.once(2)) this.#endByPidfd(pidfd);
    else this.#signalled.push(pidfd);
    return 0;
  }

  #endByPidfd(pidfd: number): void {
    const pid = this.#pidfds.get(pidfd);
    if (pid !== undefined) this.end(pid);
  }
}
