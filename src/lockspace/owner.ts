/** Who holds a lock: a domain, known by the pid of its process. protocol.md, Lock program. */
export interface Owner {
  /** Process whose death or disconnection ends the holding. The identity: two owners with one pid are the same. */
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
