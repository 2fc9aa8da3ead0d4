import assert from "node:assert/strict";
import type { FileHandle } from "../../src/lockd/lockspace/lock_handle.ts";
import type { Resource } from "../../src/lockd/lockspace/resource.ts";

/** The handle of an open and locked file. */
export function fileHandle(fd: number, parts: Partial<FileHandle> = {}): FileHandle {
  const identity = { devMajor: 8, devMinor: 1, inodeLow: 9, inodeHigh: 0 };
  return { kind: "file", fd, identity, lock: "ofd", ...parts };
}

/** The file that a resource is held by. */
export function fileOf(resource: Resource | undefined): FileHandle {
  const handle = resource?.handle;
  assert.ok(handle?.kind === "file");
  return handle;
}
