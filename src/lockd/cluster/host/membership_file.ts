import { ENOENT } from "../../../os/errno.ts";
import { readWhole } from "../../../os/read_file.ts";
import type { FileSys } from "../../../os/sys.ts";
import { SystemError } from "../../../os/system_error.ts";
import { decodeText, encodeText } from "../../../os/text.ts";
import { writeWhole } from "../../../os/write_whole.ts";
import type { ClusterSpace } from "../keys/names.ts";

/** The cluster that this host is a member of since it was started. */
export interface Membership {
  /** The kernel's boot id: of an earlier one nothing counts. */
  readonly boot: string;
  /** Of the host that has written it: of another one, whose copy this host is, nothing counts either. */
  readonly place?: string;
  readonly cluster: string;
  readonly session: string;
  readonly spaces: readonly ClusterSpace[];
  /** Set when it locks block devices for the cluster. */
  readonly devices?: boolean;
  /** What etcd was when the session was last written; undefined: it has not been, or by an older version. */
  readonly seen?: Seen;
  /**
   * What this host has written into that session, or tried to: whoever finds anything else there is a copy,
   * or has one. An older version does not tell.
   */
  readonly nonces?: readonly string[];
  /** How etcd was reached, and as whom: for a daemon whose configuration does not say so any more. */
  readonly reach?: Reach;
}

/** What a host notes of its session before it writes it. */
export type SessionNote = Pick<Membership, "session" | "seen" | "nonces">;

/** How etcd is reached. */
export interface Reach {
  /** Id of this host. */
  readonly host: string;
  readonly endpoints: readonly string[];
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** By what a host knows etcd again: of one that is behind it something is lost. */
export interface Seen {
  /** etcd's number. */
  readonly etcd: string;
  /** Revisions at which this host's session and what all agree upon were last changed. */
  readonly session: number;
  readonly meta: number;
  /** The round in which this host has put its locks in: `round` of its record. */
  readonly round: string;
  /** Set when all that the host had was in etcd, in that round. An older version does not tell. */
  readonly settled?: boolean;
  /**
   * Who has fenced the host, as long as it has not put in since what it has; "" when that is not known. An
   * older version does not tell.
   */
  readonly fenced?: string;
}

/** It is not known whether the host is a member. */
export class MembershipError extends Error {
  override name = "MembershipError";
}

type MembershipSys = Pick<FileSys, "open" | "read" | "write" | "close" | "rename" | "unlink">;

/** The file by which the next daemon knows that, whatever has become of its configuration. */
export class MembershipFile {
  readonly #sys: MembershipSys;
  readonly path: string;

  constructor(sys: MembershipSys, path: string) {
    this.#sys = sys;
    this.path = path;
  }

  /**
   * What is written there; undefined: nothing of this boot and place.
   *
   * @throws MembershipError when there is something that cannot be read, or is not understood: then the host
   *   may be a member
   */
  load(boot: string, place: string): Membership | undefined {
    const read = this.#read();
    if (read === undefined) return undefined;
    if (!isMembership(read)) {
      const other = typeof read === "object" && read !== null && "boot" in read ? read.boot : undefined;
      if (typeof other === "string" && other !== boot) return undefined;
      throw new MembershipError(`${this.path} is not understood`);
    }
    if (read.boot !== boot) return undefined;
    if (read.place === undefined || read.place === place) return read;
    // Only what is known to be another one's counts for nothing.
    if (place === "") throw new MembershipError("nothing tells this host from a copy of it just now");
    return undefined;
  }

  /** @throws MembershipError */
  #read(): unknown {
    try {
      return JSON.parse(decodeText(readWhole(this.#sys, this.path)));
    } catch (error) {
      if (error instanceof SystemError && error.errno === ENOENT) return undefined;
      if (error instanceof SystemError) throw new MembershipError(error.message);
      if (error instanceof SyntaxError) throw new MembershipError(`${this.path} is not understood`);
      throw error;
    }
  }

  /**
   * Has the next daemon go on with the session, whoever has written it last: a person says that nobody else
   * does any more.
   *
   * @returns why that could not be written
   * @throws MembershipError when there is nothing that is understood
   */
  forgetNonces(): string | undefined {
    const read = this.#read();
    if (!isMembership(read)) throw new MembershipError(`${this.path} is not understood, or not there`);
    const { nonces: _, ...kept } = read;
    return this.save(kept);
  }

  /** The host is in no cluster any more. */
  remove(): void {
    this.#sys.unlink(this.path);
  }

  /** Writes it, whole or not at all. @returns why it could not be written */
  save(membership: Membership): string | undefined {
    try {
      writeWhole(this.#sys, this.path, encodeText(`${JSON.stringify(membership)}\n`));
      return undefined;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return error.message;
    }
  }
}

function isMembership(value: unknown): value is Membership {
  if (typeof value !== "object" || value === null) return false;
  const { boot, place, cluster, session, spaces, devices, seen, nonces, reach }: Partial<
    Record<keyof Membership, unknown>
  > = value;
  return (seen === undefined || isSeen(seen)) && (reach === undefined || isReach(reach)) &&
    (nonces === undefined || isTexts(nonces)) &&
    typeof boot === "string" && (place === undefined || typeof place === "string") &&
    typeof cluster === "string" &&
    typeof session === "string" && (devices === undefined || typeof devices === "boolean") &&
    Array.isArray(spaces) &&
    spaces.every((space: unknown) =>
      typeof space === "object" && space !== null && "name" in space && typeof space.name === "string" &&
      "directory" in space && typeof space.directory === "string"
    );
}

function isSeen(value: unknown): value is Seen {
  if (typeof value !== "object" || value === null) return false;
  const { etcd, session, meta, round, settled, fenced }: Partial<Record<keyof Seen, unknown>> = value;
  return typeof etcd === "string" && typeof session === "number" && typeof meta === "number" &&
    typeof round === "string" && (settled === undefined || typeof settled === "boolean") &&
    (fenced === undefined || typeof fenced === "string");
}

function isReach(value: unknown): value is Reach {
  if (typeof value !== "object" || value === null) return false;
  const { host, endpoints, ...files }: Partial<Record<keyof Reach, unknown>> = value;
  return typeof host === "string" && Array.isArray(endpoints) &&
    isTexts([...endpoints, ...Object.values(files)]);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === "string");
}
