import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from "../../os/constants.ts";
import { EEXIST } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import { succeeded } from "../volumes/errors.ts";
import { setAccess } from "../volumes/place.ts";
import { setCopyOnWrite } from "../volumes/raw_volume.ts";

/** Mode of a directory that is made, when nothing is said. */
const DIRECTORY_MODE = 0o711;

/** The directory that a pool's definition names. @throws RpcFailure when it names none */
export function directoryOf({ target: { path } }: PoolDefinition): string {
  if (path === undefined) throw storageError("xml", "missing storage pool target path");
  return path;
}

/**
 * Makes the directory of a pool and those above it, or gives one that is there the owner and mode of the
 * definition.
 *
 * @throws RpcFailure
 */
export function makePoolDirectory(sys: Sys, storage: StorageSys, pool: PoolDefinition): void {
  const path = directoryOf(pool);
  if (!path.startsWith("/")) throw storageError("invalid-argument", `path '${path}' is not absolute`);
  makeParents(sys, path);
  const made = sys.mkdir(path, 0o700);
  if (made !== -EEXIST) succeeded(made, `failed to create directory '${path}'`);
  const fd = succeeded(
    sys.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0),
    `failed to create directory '${path}'`,
  );
  try {
    const { owner, group, mode } = pool.target.permissions;
    const wanted = mode ?? (made >= 0 ? DIRECTORY_MODE : undefined);
    const facts = storage.descriptorFacts(fd);
    const kept = typeof facts === "number" ? DIRECTORY_MODE : facts.mode & 0o7777;
    if (wanted !== undefined || owner !== undefined || group !== undefined) {
      setAccess(sys, storage, fd, path, { owner, group, mode: wanted ?? kept });
    }
    setCopyOnWrite(storage, fd, path, pool.copyOnWrite);
  } finally {
    sys.close(fd);
  }
}

function makeParents(sys: Sys, path: string): void {
  const parts = path.split("/").slice(1, -1);
  let parent = "";
  for (const part of parts) {
    parent += `/${part}`;
    const made = sys.mkdir(parent, 0o755);
    if (made !== -EEXIST) succeeded(made, `cannot create path '${parent}'`);
  }
}

/** Removes the directory, which must be empty. @throws RpcFailure */
export function removePoolDirectory(storage: StorageSys, pool: PoolDefinition): void {
  const path = directoryOf(pool);
  succeeded(storage.removeDirectory(path), `failed to remove pool '${path}'`);
}
