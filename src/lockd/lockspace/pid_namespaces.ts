import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Peer } from "../../chassis/rpc/program.ts";
import { EPOLLIN, F_DUPFD_CLOEXEC } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { FileSys, ProcessSys } from "../../os/sys.ts";
import { EACCES, ENOENT, EPERM, ESRCH } from "../../os/errno.ts";
import { isInitialNamespace, isOwnProc, namespaceOf, pidsFile, pidsOf } from "../../os/pid_namespace.ts";
import { SystemError } from "../../os/system_error.ts";
import { type Owner, UNKNOWN_NAMESPACE } from "./owner.ts";

/**
 * So many processes that connect again and again are remembered: on a host there is one libvirt daemon, or a
 * few.
 */
const REMEMBERED = 8;

/** Where a process is, as seen from the daemon's own pid namespace. */
export type Place =
  | { readonly kind: "own" }
  /** `namespace`: as {@link Owner.namespace}. `pid`: what it is called there. */
  | { readonly kind: "other"; readonly namespace: string; readonly pid: number }
  /** Outside of all that the daemon can see. */
  | { readonly kind: "outside" }
  /** The kernel does not say: it has ended, or there is no /proc, or it may not be seen. */
  | { readonly kind: "unknown" }
  /** It cannot be told just now, e.g. for lack of descriptors. */
  | { readonly kind: "untold"; readonly failure: SystemError };

/** What the kernel says of a process that has ended or may not be seen. Anything else passes. */
const UNSEEN: ReadonlySet<number> = new Set([-ENOENT, -ESRCH, -EACCES, -EPERM]);

/** Who is registered, as a {@link PidNamespaces} knows it. */
export interface Registration {
  readonly owner: Owner;
  /** Whether it is not known whether the owner's pid is one of the daemon's own namespace. */
  readonly uncertain: boolean;
}

type NamespaceSys =
  & Pick<FileSys, "open" | "read" | "close" | "readlink" | "fcntl">
  & Pick<ProcessSys, "pid">;

/**
 * Tells in which pid namespace a client means the pids that it registers: in its own. pid_namespaces(7);
 * NSpid in proc_pid_status(5).
 *
 * A process never changes its pid namespace, so what was found of one that connects for many owners is kept
 * until it ends.
 */
export class PidNamespaces {
  readonly #sys: NamespaceSys;
  readonly #loop: EventLoop;
  readonly #ledger: DescriptorLedger;
  /** By pid, as long as a pidfd of ours proves that it is that process's. */
  readonly #known = new Map<number, { readonly place: Place; readonly pidfd: number }>();
  #procIsOwn: boolean | undefined;

  constructor(parts: { sys: NamespaceSys; loop: EventLoop; ledger: DescriptorLedger }) {
    this.#sys = parts.sys;
    this.#loop = parts.loop;
    this.#ledger = parts.ledger;
  }

  /**
   * The owner that a client names, in its own words, as this daemon knows it.
   *
   * @throws SystemError when it cannot be told just now, e.g. for lack of descriptors: what is guessed here
   *   would be believed for as long as the owner has anything
   */
  register(peer: Peer, named: Owner): Registration {
    const { pid, name, uuid, id } = named;
    const place = this.#placeOf(peer);
    switch (place.kind) {
      case "own":
        if (peer.pid !== pid) this.#remember(peer, place);
        return { owner: { pid, name, uuid, id }, uncertain: false };
      case "other": {
        const { namespace } = place;
        if (place.pid === pid) {
          return { owner: { pid, name, uuid, id, namespace, hostPid: peer.pid }, uncertain: false };
        }
        this.#remember(peer, place);
        return { owner: { pid, name, uuid, id, namespace }, uncertain: true };
      }
      case "outside":
        return { owner: { pid, name, uuid, id, namespace: UNKNOWN_NAMESPACE }, uncertain: true };
      case "untold":
        throw place.failure;
      case "unknown":
        return { owner: { pid, name, uuid, id }, uncertain: peer.pid !== pid };
    }
  }

  /**
   * Whether a process is in the initial pid namespace, and this daemon as well: then they mean the same by a
   * pid.
   */
  isInitial(pid: number): boolean {
    return isInitialNamespace(this.#sys) && this.#find(pid).kind === "own";
  }

  #placeOf({ pid }: Peer): Place {
    if (pid === 0) return { kind: "outside" };
    return this.#known.get(pid)?.place ?? this.#find(pid);
  }

  #find(pid: number): Place {
    const pids = this.#readsOwnProc() ?? pidsOf(this.#sys, pid);
    if (typeof pids === "number") {
      return UNSEEN.has(pids)
        ? { kind: "unknown" }
        : { kind: "untold", failure: new SystemError("read", pidsFile(pid), pids) };
    }
    const inner = pids?.at(-1);
    if (pids === undefined || inner === undefined) return { kind: "unknown" };
    if (pids.length === 1) return { kind: "own" };
    return { kind: "other", namespace: namespaceOf(this.#sys, pid) ?? UNKNOWN_NAMESPACE, pid: inner };
  }

  /**
   * In another namespace's /proc the numbers are other processes'.
   *
   * @returns undefined when /proc is that of the daemon's own namespace; else what reading in it gives
   */
  #readsOwnProc(): number | undefined {
    if (this.#procIsOwn === undefined) {
      const isOwn = isOwnProc(this.#sys);
      // What failed just now may work the next time.
      if (typeof isOwn === "number") return isOwn;
      this.#procIsOwn = isOwn;
    }
    return this.#procIsOwn ? undefined : -ENOENT;
  }

  #remember({ pid, pidfd }: Peer, place: Place): void {
    if (pidfd < 0 || this.#known.has(pid)) return;
    const copy = this.#sys.fcntl(pidfd, F_DUPFD_CLOEXEC, 0);
    // For lack of descriptors it is looked up again the next time.
    if (copy < 0) return;
    const [oldest] = this.#known.keys();
    if (this.#known.size >= REMEMBERED && oldest !== undefined) this.#forget(oldest);
    this.#ledger.own(copy, "pidfd");
    this.#known.set(pid, { place, pidfd: copy });
    this.#loop.add(copy, EPOLLIN, () => this.#forget(pid));
  }

  #forget(pid: number): void {
    const known = this.#known.get(pid);
    if (known === undefined) return;
    this.#known.delete(pid);
    this.#loop.remove(known.pidfd);
    this.#ledger.close(known.pidfd);
  }
}
