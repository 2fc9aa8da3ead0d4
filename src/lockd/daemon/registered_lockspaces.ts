import { O_CLOEXEC, O_NOFOLLOW, O_RDONLY } from "../../os/constants.ts";
import { BOOT_ID } from "../../os/host_facts.ts";
import { ENOENT } from "../../os/errno.ts";
import { must } from "../../os/system_error.ts";
import type { FileSys } from "../../os/sys.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import { writeWhole } from "../../os/write_whole.ts";
import type { Lockspace } from "../lockspace/lockspace.ts";
import type { Place } from "../lockspace/places.ts";

const VERSION = 1;
/** A host has a handful of lockspaces. */
const MAX_SIZE = 1 << 20;

/** A lockspace that was registered, with where its directory was. */
export interface RegisteredLockspace {
  readonly path: string;
  readonly place: Place | undefined;
}

type RegistrySys = Pick<FileSys, "open" | "read" | "write" | "close" | "rename" | "unlink">;

/**
 * The file in which registered lockspaces outlive the daemon's stop, with the file systems of their
 * directories: libvirt registers them only when it starts itself. Of an earlier boot nothing counts, because
 * devices may have other names by now, and libvirt has been started since.
 */
export class RegisteredLockspaces {
  readonly #sys: RegistrySys;
  readonly #path: string;
  readonly #boot: string;

  constructor(sys: RegistrySys, path: string) {
    this.#sys = sys;
    this.#path = path;
    this.#boot = decodeText(this.#read(BOOT_ID) ?? new Uint8Array(0)).trim();
  }

  /**
   * What was registered in this boot; undefined when nothing is known of it.
   *
   * @throws SystemError when the file cannot be read
   * @throws SyntaxError when it is none of this program's
   */
  load(): RegisteredLockspace[] | undefined {
    const bytes = this.#read(this.#path);
    if (bytes === undefined) return undefined;
    const read = parse(decodeText(bytes));
    if (read === undefined) throw new SyntaxError(`${this.#path} holds no list of lockspaces`);
    return read.boot === this.#boot ? read.lockspaces : undefined;
  }

  /** Writes the file, whole or not at all. @throws SystemError */
  save(lockspaces: Iterable<Lockspace>): void {
    const listed = [...lockspaces].filter(({ path, origin }) => path !== "" && origin === "registered");
    const document = {
      version: VERSION,
      boot: this.#boot,
      lockspaces: listed.map(({ path, place }) => place === undefined ? { path } : { path, place }),
    };
    writeWhole(this.#sys, this.#path, encodeText(`${JSON.stringify(document)}\n`));
  }

  /** @throws SystemError */
  #read(path: string): Uint8Array | undefined {
    const fd = this.#sys.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd === -ENOENT) return undefined;
    must(fd, "open", path);
    const bytes = new Uint8Array(MAX_SIZE);
    let length = 0;
    let count: number;
    do {
      count = this.#sys.read(fd, bytes.subarray(length));
      length += Math.max(0, count);
    } while (count > 0 && length < MAX_SIZE);
    this.#sys.close(fd);
    must(count, "read", path);
    return bytes.subarray(0, length);
  }
}

function parse(text: string): { boot: string; lockspaces: RegisteredLockspace[] } | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  const { version, boot, lockspaces } = asObject(document);
  if (version !== VERSION || typeof boot !== "string" || !Array.isArray(lockspaces)) return undefined;
  const read: RegisteredLockspace[] = [];
  for (const entry of lockspaces) {
    const { path, place } = asObject(entry);
    if (typeof path !== "string" || path === "") return undefined;
    const found = place === undefined ? undefined : asPlace(place);
    if (place !== undefined && found === undefined) return undefined;
    read.push({ path, place: found });
  }
  return { boot, lockspaces: read };
}

function asPlace(value: unknown): Place | undefined {
  const { source, type, point, device } = asObject(value);
  return typeof source === "string" && typeof type === "string" && typeof point === "string" &&
      typeof device === "number"
    ? { source, type, point, device }
    : undefined;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? value as Record<string, unknown> : {};
}
