/** Who holds a lock: a domain, known by the pid of its process. docs/protocol.md, Lock program. */
export interface Owner {
  /**
   * Process whose death or disconnection ends the holding. The identity: two owners with one pid are the
   * same.
   */
  readonly pid: number;
  /** Domain name. */
  readonly name: string;
  /** Domain uuid, lower case with dashes. */
  readonly uuid: string;
  /** libvirt's transient domain id. */
  readonly id: number;
}

/** One holding of a resource by an owner. The same owner may hold a shared resource several times. */
export interface Holding {
  readonly owner: Owner;
  /** Unix milliseconds of the grant; 0 when unknown (taken over from a daemon that does not record it). */
  readonly since: number;
}

/** An owner as people read it. One that came over from libvirt's daemon is known by its pid alone. */
export function ownerText({ pid, name, uuid }: Owner): string {
  return name === "" ? `the guest of process ${pid}` : `domain '${name}' (uuid ${uuid}, pid ${pid})`;
}

/** Longest domain name in an {@link ownerRecord}. */
const RECORDED_NAME = 200;

/**
 * An owner on one line, as a lock file on network storage tells other hosts who holds it.
 *
 * @param since Unix milliseconds of the grant
 */
export function ownerRecord({ pid, name, uuid }: Owner, since: number): string {
  // deno-lint-ignore no-control-regex -- a domain name may hold a newline, a record is one line
  const shown = name.slice(0, RECORDED_NAME).replace(/[\x00-\x1f\x7f]/g, "?");
  return `domain '${shown}' (uuid ${uuid}, pid ${pid}) since ${new Date(since).toISOString().slice(0, 19)}Z`;
}
