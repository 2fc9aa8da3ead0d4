import type { Owner } from "./owner.ts";
import { RecurringMap } from "../../base/recurring_map.ts";
import type { FileIdentity } from "./file_identity.ts";
import type { Place } from "./places.ts";
import { lockFilePath, type Resource } from "./resource.ts";

/** A namespace of resources: a directory of lock files, or, with path "", the files themselves. */
export class Lockspace {
  /** "" for the default lockspace. */
  readonly path: string;
  readonly resources = new RecurringMap<string, Resource>();
  /** Names that slow storage is just now locking, with the owner that asked. */
  readonly pending = new Map<string, Owner>();
  /** How it came to be here. In one that was merely adopted no files are made. */
  origin: "registered" | "adopted" = "registered";
  /**
   * Where its directory was when it was registered; undefined for the default lockspace, and while it is not
   * known.
   */
  place: Place | undefined;
  /** Device of the file that was locked in its directory last, while that was found in its place. */
  device: Pick<FileIdentity, "devMajor" | "devMinor"> | undefined;
  /** {@link Places.generation} in which its directory was last found in its place. */
  checked: object | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** The file of a resource name. */
  fileOf(name: string): string {
    return lockFilePath(this.path, name);
  }

  /**
   * Why a name cannot be used here; undefined when it can.
   *
   * In a directory a name must not leave it; in the default lockspace every path is allowed.
   */
  badName(name: string): string | undefined {
    if (name.includes("\0")) return "it contains a NUL byte";
    if (this.path === "") return undefined;
    if (name.startsWith("/")) return `it is absolute, in lockspace ${this.path}`;
    if (name.includes("..") && name.split("/").includes("..")) {
      return `it climbs out of lockspace ${this.path}`;
    }
    return undefined;
  }
}
