import { plainPath } from "../../../base/plain_path.ts";
import { DEVICE_SPACE } from "../../identity/cluster_settings.ts";

/** Longest name of a resource in a cluster, encoded, in bytes: etcd's keys are kept small on purpose. */
const LONGEST_NAME = 1000;

/** A directory whose locks are held for the whole cluster. */
export interface ClusterSpace {
  /** What the cluster calls it, whatever directory a host has for it. */
  readonly name: string;
  /** Absolute path, without a slash at its end. */
  readonly directory: string;
}

/** See locationOf() of src/lockd/storage/placement.ts. */
export type LocationOf = (path: string) => string | undefined;

/** A lock as the cluster knows it. */
export interface ClusterName {
  readonly space: string;
  /** Encoded: it has no slash, and no character that is not ASCII. */
  readonly name: string;
}

/** Finds the cluster's names of lock files. */
export class ClusterNames {
  readonly #spaces: ReadonlyMap<string, string>;
  /** Names of locks by their path on this host where that does not tell them: of devices, and of aliases. */
  readonly #learnt = new Map<string, ClusterName>();
  readonly #locationOf: LocationOf;
  /** What all hosts have to agree upon. */
  readonly spaces: readonly string[];

  /**
   * @param locationOf tells which file or directory a path leads to, whatever it is called
   * @param devices whether block devices are locked for all hosts too
   */
  constructor(spaces: readonly ClusterSpace[], locationOf: LocationOf, devices = false) {
    this.#locationOf = locationOf;
    this.#spaces = new Map(spaces.map(({ name, directory }) => [lexicalPath(directory), name]));
    this.spaces = [...spaces.map(({ name }) => name), ...devices ? [DEVICE_SPACE] : []].sort();
  }

  /** A path is locked that has this name, until it is forgotten. */
  learn(path: string, name: ClusterName): void {
    this.#learnt.set(path, name);
  }

  /** The lock of a path has gone. */
  forget(path: string): void {
    this.#learnt.delete(path);
  }

  /**
   * The cluster's name of a lock file by what its path leads to: the directory may have other names on this
   * host, over symbolic links and bind mounts. Asks the kernel, so it is for a lock that is taken, not for
   * every question; whoever locks such a path learns its name.
   */
  find(path: string): ClusterName | undefined {
    const known = this.of(path);
    if (known !== undefined || this.#spaces.size === 0) return known;
    const location = this.#locationOf(path);
    if (location === undefined) return undefined;
    let found: ClusterName | undefined;
    let longest = 0;
    for (const [directory, space] of this.#spaces) {
      const below = `${this.#locationOf(directory)}/`;
      if (!location.startsWith(below) || below.length <= longest) continue;
      longest = below.length;
      found = { space, name: encodeName(location.slice(below.length)) };
    }
    return found;
  }

  /**
   * The cluster's name of a lock file, however its path is written, or of a device that is locked; undefined
   * for one that is this host's own matter. What lies deeper in a directory has the way there in its name.
   */
  of(path: string): ClusterName | undefined {
    const learnt = this.#learnt.get(path);
    if (learnt !== undefined) return learnt;
    const plain = lexicalPath(path);
    for (let slash = plain.lastIndexOf("/"); slash > 0; slash = plain.lastIndexOf("/", slash - 1)) {
      const space = this.#spaces.get(plain.slice(0, slash));
      if (space !== undefined) return { space, name: encodeName(plain.slice(slash + 1)) };
    }
    return undefined;
  }
}

/**
 * An absolute path by its text alone. Where a directory before `..` is a symbolic link it may be another one:
 * then a lock is held for all hosts that need not be, which is the safe side.
 */
function lexicalPath(path: string): string {
  const plain = plainPath(path);
  if (!plain.includes("/..")) return plain;
  const names: string[] = [];
  for (const name of plain.split("/")) {
    if (name === "..") names.pop();
    else names.push(name);
  }
  return names.join("/");
}

/** Why a resource cannot be locked for the cluster; undefined when it can. */
export function unsuitable({ name }: ClusterName): string | undefined {
  return name.length <= LONGEST_NAME
    ? undefined
    : `its name takes ${name.length} bytes in etcd, and a cluster's names have at most ${LONGEST_NAME}`;
}

/**
 * A name without slashes, so that no name is the beginning of another one's key: letters, digits, `-`, `_`
 * and `.` stand for themselves, any other byte is written as `%XX`. A byte that is no UTF-8 is a lone
 * surrogate here (src/os/text.ts), and is written by its number.
 */
export function encodeName(name: string): string {
  // Most names do: libvirt's are digests. A host that starts with thousands of locks encodes all of them.
  if (/^[A-Za-z0-9._-]*$/.test(name)) return name;
  let encoded = "";
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0;
    if (/^[A-Za-z0-9._-]$/.test(character)) encoded += character;
    else if (code >= 0xd800 && code <= 0xdfff) encoded += `%${(code & 0xff).toString(16).toUpperCase()}`;
    else encoded += encodeURIComponent(character).replace(/^[^%]$/, hexOf);
  }
  return encoded;
}

/** The name behind an encoded one, for people; a byte that is no UTF-8 stays as it is written. */
export function decodeName(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return encoded;
  }
}

function hexOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
}

/**
 * Two names of one directory: nobody could tell by which of them all hosts have a lock there.
 *
 * @returns what is wrong; undefined: nothing
 */
export function twiceNamed(spaces: readonly ClusterSpace[], locationOf: LocationOf): string | undefined {
  const seen = new Map<string, ClusterSpace>();
  for (const space of spaces) {
    const location = locationOf(space.directory) ?? space.directory;
    const other = seen.get(location);
    if (other !== undefined) {
      return `'${other.name}=${other.directory}' and '${space.name}=${space.directory}' in cluster_lockspaces are one ` +
        "directory";
    }
    seen.set(location, space);
  }
  return undefined;
}
