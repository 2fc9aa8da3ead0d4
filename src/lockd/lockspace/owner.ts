import { oneLine } from "../../base/one_line.ts";

/** Who holds a lock: a domain, known by its process. docs/protocol.md, Lock program. */
export interface Owner {
  /**
   * Process whose death or disconnection ends the holding, as whoever asked for it calls it; 0 when it has
   * none (Xen).
   */
  readonly pid: number;
  /** Domain name. */
  readonly name: string;
  /** Domain uuid, lower case with dashes. */
  readonly uuid: string;
  /** libvirt's transient domain id. */
  readonly id: number;
  /**
   * The pid namespace in which its pid is meant, by the number that the kernel gives it, or {@link
   * UNKNOWN_NAMESPACE}. Absent for the daemon's own.
   */
  readonly namespace?: string;
  /** Of an owner that has a connection itself: what the daemon calls its process, where that is not `pid`. */
  readonly hostPid?: number;
}

/** Of an owner that a process registered whose own pid namespace cannot be told from others. */
export const UNKNOWN_NAMESPACE = "?";

/** The uuid of an owner of whom only the pid is known: libvirt's restart document names no more. */
export const UNKNOWN_UUID = "00000000-0000-0000-0000-000000000000";

/** An owner of whom only the pid is known. */
export function unknownOwner(pid: number): Owner {
  return { pid, name: "", uuid: UNKNOWN_UUID, id: 0 };
}

/** The owner of a connection that has not registered. */
export const NOBODY: Owner = unknownOwner(0);

/**
 * What tells one owner from another: (pid namespace, pid), and the uuid too where these say nothing. A bare
 * pid in the daemon's own namespace, which nearly every owner has.
 */
export type OwnerKey = number | string;

/** The key of an owner. */
export function ownerKey({ pid, uuid, namespace }: Owner): OwnerKey {
  if (namespace === undefined && pid !== 0) return pid;
  const place = `${namespace ?? ""}/${pid}`;
  return pid === 0 || namespace === UNKNOWN_NAMESPACE ? `${place}/${uuid}` : place;
}

/** Whether a lock that `held` has is the asker's own. A uuid that is not known fits every one. */
export function isHeldBy(held: Owner, asker: Owner): boolean {
  return held.pid === asker.pid && held.namespace === asker.namespace &&
    (held.uuid === asker.uuid || held.uuid === UNKNOWN_UUID);
}

/** Whether the process with this pid, as the daemon sees it, is the owner itself. */
export function isOwnersProcess({ pid, namespace, hostPid }: Owner, seen: number): boolean {
  return seen > 0 && seen === (hostPid ?? (namespace === undefined ? pid : 0));
}

/** One holding of a resource by an owner. The same owner may hold a shared resource several times. */
export interface Holding<O extends Owner = Owner> {
  readonly owner: O;
  /** Unix milliseconds of the grant; 0 when unknown (taken over from a daemon that does not record it). */
  readonly since: number;
}

/** An owner as people read it. One that came over from libvirt's daemon is known by its pid alone. */
export function ownerText({ pid, name, uuid }: Owner): string {
  return name === "" ? `the guest of process ${pid}` : `domain '${name}' (uuid ${uuid}, pid ${pid})`;
}

/**
 * How an administrator names the guest of an owner; one whose name is not known by the pid of its process.
 */
export function guestName({ pid, name }: Owner): string {
  return name === "" ? String(pid) : name;
}

/** Longest domain name in an {@link ownerRecord}. */
const RECORDED_NAME = 200;

/**
 * An owner on one line, as a lock file on network storage tells other hosts who holds it.
 *
 * @param since Unix milliseconds of the grant
 */
export function ownerRecord({ pid, name, uuid }: Owner, since: number): string {
  const shown = oneLine(name.slice(0, RECORDED_NAME));
  return `domain '${shown}' (uuid ${uuid}, pid ${pid}) since ${new Date(since).toISOString().slice(0, 19)}Z`;
}
