import {
  anything,
  fields,
  flag,
  listOf,
  number,
  optional,
  parseJson,
  type Shape,
  ShapeError,
  text,
} from "../../../base/shape.ts";
import { ENOENT, ENOSPC } from "../../../os/errno.ts";
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
  /**
   * Set as long as the host has not put in what it has, where it was no member before that session. An older
   * version does not tell.
   */
  readonly first?: boolean;
}

/** What is wrong with what the last daemon has kept. */
export type MembershipFault =
  /** It cannot be read, or is not understood. */
  | "unread"
  | "absent"
  | "unwritten";

/** It is not known whether the host is a member, or that cannot be noted. */
export class MembershipError extends Error {
  override name = "MembershipError";
  readonly fault: MembershipFault;

  constructor(fault: MembershipFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** What a file system of memory gives out at once, in bytes. */
const PAGE = 4096;

type MembershipSys = Pick<FileSys, "open" | "read" | "write" | "close" | "rename" | "unlink">;

/** The file by which the next daemon knows that, whatever has become of its configuration. */
export class MembershipFile {
  readonly #sys: MembershipSys;
  readonly path: string;
  /** A file that means nothing: it keeps room for the next membership in a full file system. */
  readonly #spare: string;
  /** Bytes that this daemon has put there. */
  #spared = 0;

  constructor(sys: MembershipSys, path: string) {
    this.#sys = sys;
    this.path = path;
    this.#spare = `${path}.spare`;
  }

  /**
   * What is written there; undefined: nothing of this boot and place.
   *
   * @throws MembershipError when there is something that cannot be read, or is not understood: then the host
   *   may be a member
   */
  load(boot: string, place: string): Membership | undefined {
    const found = this.#read();
    if (found === undefined) return undefined;
    const of = typeof found === "object" && found !== null && "boot" in found ? found.boot : undefined;
    if (typeof of === "string" && of !== boot) return undefined;
    const read = this.#understood(found);
    if (read.place === undefined || read.place === place) return read;
    // Only what is known to be another one's counts for nothing.
    if (place === "") {
      throw new MembershipError("unread", "nothing tells this host from a copy of it just now");
    }
    return undefined;
  }

  /** What is there, as JSON; undefined: no such file. @throws MembershipError */
  #read(): unknown {
    try {
      return parseJson(decodeText(readWhole(this.#sys, this.path)), anything);
    } catch (error) {
      if (error instanceof SystemError && error.errno === ENOENT) return undefined;
      if (error instanceof SystemError) throw new MembershipError("unread", error.message);
      throw this.#odd(error);
    }
  }

  /** @throws MembershipError */
  #understood(found: unknown): Membership {
    try {
      return MEMBERSHIP(found);
    } catch (error) {
      throw this.#odd(error);
    }
  }

  /** What is thrown where something is written there that is no membership. */
  #odd(error: unknown): unknown {
    if (!(error instanceof ShapeError)) return error;
    return new MembershipError("unread", `${this.path} is not understood: ${error.message}`);
  }

  /**
   * Has the next daemon go on with the session, whoever has written it last: a person says that nobody else
   * does any more.
   *
   * @throws MembershipError when there is nothing that is understood, or it cannot be written
   */
  forgetNonces(): void {
    const found = this.#read();
    if (found === undefined) throw new MembershipError("absent", `${this.path} is not there`);
    const { nonces: _, ...kept } = this.#understood(found);
    const unkept = this.save(kept);
    if (unkept !== undefined) throw new MembershipError("unwritten", unkept);
  }

  /** The host is in no cluster any more. */
  remove(): void {
    this.#sys.unlink(this.path);
    this.#sys.unlink(this.#spare);
    this.#spared = 0;
  }

  /** Writes it, whole or not at all. @returns why it could not be written */
  save(membership: Membership): string | undefined {
    const bytes = encodeText(`${JSON.stringify(membership)}\n`);
    let fault = this.#write(this.path, bytes);
    if (fault?.errno === ENOSPC) {
      // Without it the host could neither be a member again nor object to being fenced.
      this.#sys.unlink(this.#spare);
      this.#spared = 0;
      fault = this.#write(this.path, bytes);
    }
    if (fault === undefined) this.#keepSpare(Math.ceil(bytes.length / PAGE) * PAGE);
    return fault?.message;
  }

  /** Where there is no room for it, there is none. */
  #keepSpare(size: number): void {
    if (this.#spared >= size) return;
    if (this.#write(this.#spare, new Uint8Array(size)) === undefined) this.#spared = size;
  }

  #write(path: string, bytes: Uint8Array): SystemError | undefined {
    try {
      writeWhole(this.#sys, path, bytes);
      return undefined;
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      return error;
    }
  }
}

const MEMBERSHIP: Shape<Membership> = fields<Membership>({
  boot: text,
  place: optional(text),
  cluster: text,
  session: text,
  spaces: listOf(fields<ClusterSpace>({ name: text, directory: text })),
  devices: optional(flag),
  seen: optional(fields<Seen>({
    etcd: text,
    session: number,
    meta: number,
    round: text,
    settled: optional(flag),
    fenced: optional(text),
    first: optional(flag),
  })),
  nonces: optional(listOf(text)),
  reach: optional(fields<Reach>({
    host: text,
    endpoints: listOf(text),
    caFile: optional(text),
    certFile: optional(text),
    keyFile: optional(text),
  })),
});
