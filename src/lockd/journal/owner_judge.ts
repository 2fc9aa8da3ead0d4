import { EINVAL, ESRCH } from "../../os/errno.ts";
import type { EndedOwner } from "../lockspace/holder_reaper.ts";
import { type OwnerKey, ownerKey } from "../lockspace/owner.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import { readProcess } from "../../os/process_state.ts";
import type { OwnerRecord } from "./journaled_lock.ts";
import type { RecoverySys } from "./recovered.ts";

/** What is known of an owner's process. */
export type Verdict = "alive" | "dead" | "unjudged";

/** Finds out which owners of an earlier life still have a process: the very one that was recorded. */
export class OwnerJudge {
  readonly #sys: Pick<RecoverySys, "open" | "read" | "close" | "pidfdOpen">;
  readonly #verdicts = new Map<OwnerKey, Verdict>();
  /** Those that live, with pidfds for whoever takes them. */
  readonly watched: OwnerProcess[] = [];
  readonly #gone = new Map<OwnerKey, EndedOwner>();

  constructor(sys: Pick<RecoverySys, "open" | "read" | "close" | "pidfdOpen">) {
    this.#sys = sys;
  }

  /** Those that are gone. */
  get gone(): readonly EndedOwner[] {
    return [...this.#gone.values()];
  }

  /** What is known of an owner so far. */
  known(key: OwnerKey): Verdict | undefined {
    return this.#verdicts.get(key);
  }

  /** Looks for an owner's process. */
  judge(owner: OwnerRecord): Verdict {
    const key = ownerKey(owner);
    const known = this.#verdicts.get(key);
    if (known !== undefined && known !== "unjudged") return known;
    const verdict = this.#look(key, owner);
    this.#verdicts.set(key, verdict);
    return verdict;
  }

  /** An owner's process lives: it is watched by somebody else. */
  lives(key: OwnerKey): void {
    this.#verdicts.set(key, "alive");
  }

  /** An owner's process is gone. */
  isGone(owner: EndedOwner): void {
    this.#gone.set(owner.key, owner);
    this.#verdicts.set(owner.key, "dead");
  }

  /**
   * A pidfd of the process with this pid and start time, the caller's.
   *
   * @returns -ESRCH when that process has ended for certain; another -errno when it cannot be told
   */
  open(pid: number, start: number): number {
    const pidfd = this.#sys.pidfdOpen(pid);
    if (pidfd === -ESRCH) return pidfd;
    // Only the start time of a process tells it from a later one of the same pid.
    if (start === 0) {
      if (pidfd >= 0) this.#sys.close(pidfd);
      return -EINVAL;
    }
    // Read behind the opening: from then on the pid cannot be given to another process without this being
    // seen.
    const state = readProcess(this.#sys, pid);
    if (pidfd >= 0 && typeof state === "object" && state.startTime === start) return pidfd;
    if (pidfd >= 0) this.#sys.close(pidfd);
    if (typeof state === "number") return state;
    // By now the pid is another process's, or a thread's.
    return state.startTime === start ? pidfd : -ESRCH;
  }

  #look(key: OwnerKey, { pid, hostPid = pid, start }: OwnerRecord): Verdict {
    // Its pid may be meant in another pid namespace.
    if (start === 0) return "unjudged";
    const pidfd = this.open(hostPid, start);
    if (pidfd >= 0) {
      this.watched.push({ key, pid: hostPid, start, pidfd });
      return "alive";
    }
    if (pidfd !== -ESRCH) return "unjudged";
    this.#gone.set(key, { key, pid: hostPid });
    return "dead";
  }
}
