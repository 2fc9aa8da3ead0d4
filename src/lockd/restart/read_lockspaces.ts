import type { HandedLock } from "../lockspace/lock_record.ts";
import type { JsonObject } from "./json_object.ts";
import { LockReader, type Writer } from "./lock_codec.ts";
import type { LockspaceState } from "./state.ts";

/** Lockspaces of a document, the default one first, and the id that the next resource gets. */
export function readLockspaces(
  document: JsonObject,
  writer: Writer,
): { lockspaces: LockspaceState[]; nextResourceId: number } {
  const reader = new LockReader(writer);
  const lockspaces = [{ path: "", resources: readLocks(document.object("defaultLockspace"), "", reader) }];
  const paths = new Set([""]);
  document.objects("lockspaces", (at) => {
    const path = at.string("directory", "a path");
    if (paths.has(path)) at.fail("directory", "a path that no other lockspace has");
    paths.add(path);
    lockspaces.push({ path, resources: readLocks(at, path, reader) });
  });
  return { lockspaces, nextResourceId: reader.nextId };
}

function readLocks(at: JsonObject, lockspace: string, reader: LockReader): HandedLock[] {
  const names = new Set<string>();
  return at.objects("resources", (resource) => {
    const lock = reader.read(resource, lockspace);
    const { name } = lock.record;
    if (names.has(name)) resource.fail("name", "a name that no other resource of the lockspace has");
    names.add(name);
    return lock;
  });
}
