import type { KeyRange } from "../../../etcd/wire/link_messages.ts";
import { type ClusterName, encodeName } from "./names.ts";

/** A guest that a mark is of: by its process, and where nothing tells which one that is by its domain. */
export interface MarkedGuest {
  readonly pid: number;
  /** When the process started, in clock ticks since boot; 0 when nothing tells the process (Xen). */
  readonly start: number;
  readonly uuid: string;
}

function guestPart({ pid, start, uuid }: MarkedGuest): string {
  return start === 0 ? `${pid}.0.${encodeName(uuid)}` : `${pid}.${start}`;
}

/** Keys of one cluster. None is the beginning of another one's, but for those that are listed. */
export class ClusterKeys {
  readonly #prefix: string;

  /** @param cluster the cluster's name: letters, digits, `-`, `_`, `.` */
  constructor(cluster: string) {
    this.#prefix = `/virtlockd/${cluster}/`;
  }

  /** What all hosts agree upon. */
  get meta(): string {
    return `${this.#prefix}meta`;
  }

  /** Below it are the hosts that were heard of a moment ago. */
  get hosts(): string {
    return `${this.#prefix}host/`;
  }

  /** Since when nothing is heard of a session's host; not there while it is. */
  silence(session: string): string {
    return `${this.silences}${session}`;
  }

  /** Below it are the sessions of which nothing is heard. */
  get silences(): string {
    return `${this.#prefix}silent/`;
  }

  /** That somebody has a session's host fenced just now. */
  duty(session: string): string {
    return `${this.#prefix}fencing/${session}`;
  }

  /** Below it are all sessions. */
  get sessions(): string {
    return `${this.#prefix}session/`;
  }

  /** Below it are all locks that somebody holds alone. */
  get exclusives(): string {
    return `${this.#prefix}lock/`;
  }

  /** Below it are all shares of locks. */
  get shares(): string {
    return `${this.#prefix}share/`;
  }

  /** Whether a key is a share of a lock. */
  isShare(key: string): boolean {
    return key.startsWith(this.shares);
  }

  /** The name of the lock that a key of {@link exclusives} or {@link shares} stands for. */
  nameOf(key: string): ClusterName {
    const [, space = "", name = ""] = key.slice(this.#prefix.length).split("/");
    return { space, name };
  }

  /** That a host was heard of a moment ago. */
  host(id: string): string {
    return `${this.#prefix}host/${id}`;
  }

  /** A host's membership. */
  session(id: string): string {
    return `${this.#prefix}session/${id}`;
  }

  /** What a host has put in since the cluster was closed. */
  entry(id: string): string {
    return `${this.entries}${id}`;
  }

  /** Below it is what each host has put in. */
  get entries(): string {
    return `${this.#prefix}entry/`;
  }

  /** The id of the host that an entry is of. */
  hostOfEntry(entry: string): string {
    return entry.slice(this.entries.length);
  }

  /** Who holds a lock alone. */
  exclusive({ space, name }: ClusterName): string {
    return `${this.#prefix}lock/${space}/${name}`;
  }

  /** Below it are the sessions that share a lock. */
  sharers({ space, name }: ClusterName): string {
    return `${this.#prefix}share/${space}/${name}/`;
  }

  /** A session's share of a lock. */
  share(name: ClusterName, session: string): string {
    return `${this.sharers(name)}${session}`;
  }

  /** A session's lock. */
  lock(name: ClusterName, shared: boolean, session: string): string {
    return shared ? this.share(name, session) : this.exclusive(name);
  }

  /** Below it are marks of guests that were paused when others got their lock. */
  pausedBelow({ space, name }: ClusterName): string {
    return `${this.#prefix}paused/${space}/${name}/`;
  }

  /** The mark of such a guest, by its process. */
  paused(name: ClusterName, session: string, guest: MarkedGuest): string {
    return `${this.pausedBelow(name)}${session}/${guestPart(guest)}`;
  }

  /** The mark of such a guest for a lock, by the key of that. */
  pausedOf(exclusive: string, session: string, guest: MarkedGuest): string {
    const lock = `${this.#prefix}lock/`;
    const name = exclusive.startsWith(lock) ? exclusive.slice(lock.length) : "";
    return `${this.#prefix}paused/${name}/${session}/${guestPart(guest)}`;
  }

  /** Whether a key is such a mark. */
  isPaused(key: string): boolean {
    return key.startsWith(`${this.#prefix}paused/`);
  }

  /** Below it are locks of a session that others ask it for. */
  wants(session: string): string {
    return `${this.#prefix}want/${session}/`;
  }

  /** That somebody asks a session for a lock. */
  want(session: string, key: string): string {
    return `${this.wants(session)}${key.slice(this.#prefix.length)}`;
  }

  /** The lock that is asked for. */
  ofWant(session: string, want: string): string {
    return `${this.#prefix}${want.slice(this.wants(session).length)}`;
  }

  /** All that tells who has a lock, and some besides. */
  get holdings(): KeyRange {
    return { first: this.exclusives, behind: `${this.#prefix}share0` };
  }

  /** The lock that a key tells of which was deleted; undefined: none of a session's. */
  lockOf(session: string, deleted: string): string | undefined {
    if (deleted.startsWith(this.ownList(session))) return this.ofOwn(session, deleted);
    return deleted.startsWith(this.exclusives) || this.isShare(deleted) ? deleted : undefined;
  }

  /** Below it is what a session has. */
  ownList(session: string): string {
    return `${this.#prefix}own/${session}/`;
  }

  /** The same lock in the list of what its session has. */
  own(session: string, key: string): string {
    return `${this.ownList(session)}${key.slice(this.#prefix.length)}`;
  }

  /** The lock that an entry of a session's list stands for. */
  ofOwn(session: string, own: string): string {
    return `${this.#prefix}${own.slice(this.ownList(session).length)}`;
  }
}
