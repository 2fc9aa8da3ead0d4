import { O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } from "../../os/constants.ts";
import { readSmallFile } from "../../os/read_file.ts";
import type { FileSys } from "../../os/sys.ts";
import { must, SystemError } from "../../os/system_error.ts";
import { encodeText } from "../../os/text.ts";
import type { ClusterSpace } from "./names.ts";

const MODE = 0o600;

/** The cluster that this host is a member of since it was started. */
export interface Membership {
  /** The kernel's boot id: of an earlier one nothing counts. */
  readonly boot: string;
  readonly cluster: string;
  readonly session: string;
  readonly spaces: readonly ClusterSpace[];
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

  /** What is written there; undefined: nothing of this boot. */
  load(boot: string): Membership | undefined {
    const text = readSmallFile(this.#sys, this.path);
    if (text === undefined) return undefined;
    try {
      const read: unknown = JSON.parse(text);
      return isMembership(read) && read.boot === boot ? read : undefined;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return undefined;
    }
  }

  /** Writes it, whole or not at all. @returns why it could not be written */
  save(membership: Membership): string | undefined {
    const sys = this.#sys;
    const unfinished = `${this.path}.new`;
    sys.unlink(unfinished);
    const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    try {
      const fd = must(sys.open(unfinished, flags, MODE), "open", unfinished);
      try {
        const bytes = encodeText(`${JSON.stringify(membership)}\n`);
        for (let at = 0; at < bytes.length;) {
          at += must(sys.write(fd, bytes.subarray(at)), "write", unfinished);
        }
      } finally {
        sys.close(fd);
      }
      must(sys.rename(unfinished, this.path), "rename", unfinished);
      return undefined;
    } catch (error) {
      sys.unlink(unfinished);
      if (!(error instanceof SystemError)) throw error;
      return error.message;
    }
  }
}

function isMembership(value: unknown): value is Membership {
  if (typeof value !== "object" || value === null) return false;
  const { boot, cluster, session, spaces }: Partial<Record<keyof Membership, unknown>> = value;
  return typeof boot === "string" && typeof cluster === "string" && typeof session === "string" &&
    Array.isArray(spaces) &&
    spaces.every((space: unknown) =>
      typeof space === "object" && space !== null && "name" in space && typeof space.name === "string" &&
      "directory" in space && typeof space.directory === "string"
    );
}
