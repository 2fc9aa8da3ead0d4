import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../os/constants.ts";
import { ELOOP, ENOENT, ENOTDIR } from "../../os/errno.ts";
import type { FileFacts } from "../../os/file_facts.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys, Sys } from "../../os/sys.ts";
import { storageError } from "../model/storage_error.ts";
import { type FailureFields, failureFields } from "../work/work_message.ts";
import { failedCommonCall, succeeded } from "./errors.ts";

// The directory of a pool, as something that is still itself. Files in it are reached through its descriptor:
// what is mounted over it or put into its place meanwhile is not touched.

/** Which storage a directory is on. */
export interface PlaceIdentity {
  readonly device: string;
  readonly mount: string;
}

/** Where a pool keeps its files. */
export interface Place {
  readonly path: string;
  /** What it was when the pool was started; undefined: whatever it is. */
  readonly identity: PlaceIdentity | undefined;
}

/** What came of work at a place. */
export type AtPlace<Result> =
  | { readonly kind: "done"; readonly value: Result }
  /** It is not the storage that the pool was started with. */
  | { readonly kind: "gone"; readonly failure: FailureFields };

/** A place that is open. */
export interface OpenPlace {
  /** Owned by {@link atPlace}. */
  readonly fd: number;
  /** Begins the path of each file in it for system calls; ends in a slash. */
  readonly base: string;
  /** The path that people know it by. */
  readonly path: string;
  readonly identity: PlaceIdentity;
  /** What becomes of a symbolic link in the place of a volume whose data is to be read or changed. */
  readonly links: "followed" | "refused";
}

/** What opening a place needs of the kernel. */
export type PlaceSys = Pick<Sys, "open" | "close" | "uid">;

/**
 * Works in a place, if that is still the one it is to be.
 *
 * @throws RpcFailure what `work` throws, or why the directory cannot be opened
 */
export function atPlace<Result>(
  sys: PlaceSys,
  storage: StorageSys,
  { path, identity }: Place,
  work: (place: OpenPlace) => Result,
): AtPlace<Result> {
  const fd = sys.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) {
    const failure = failedCommonCall(`cannot open directory '${path}'`, fd);
    if (fd === -ENOENT || fd === -ENOTDIR) return { kind: "gone", failure: failureFields(failure) };
    throw failure;
  }
  try {
    const facts = storage.descriptorFacts(fd);
    if (typeof facts === "number") throw failedCommonCall(`cannot stat path '${path}'`, facts);
    const found = { device: facts.device, mount: facts.mount };
    if (identity !== undefined && (identity.device !== found.device || identity.mount !== found.mount)) {
      const detail = `'${path}' is not on the storage that the pool was started with`;
      return { kind: "gone", failure: failureFields(storageError("invalid", detail)) };
    }
    const links = othersMayWrite(facts, sys.uid()) ? "refused" : "followed";
    const value = work({ fd, base: `/proc/self/fd/${fd}/`, path, identity: found, links });
    return { kind: "done", value };
  } finally {
    sys.close(fd);
  }
}

const OTHERS_WRITE = 0o002;
const GROUP_WRITES = 0o020;
const ROOT = 0;

/** Whether a directory is one into which somebody could put links who may less than the daemon. */
function othersMayWrite({ mode, uid, gid }: FileFacts, own: number): boolean {
  if (own !== ROOT) return false;
  return uid !== ROOT || (mode & OTHERS_WRITE) !== 0 || (mode & GROUP_WRITES) !== 0 && gid !== ROOT;
}

/**
 * Opens the file of a volume, to read or change its data. Where others may write, a link is theirs, and
 * leads to what they may not touch themselves.
 *
 * @returns a descriptor, the caller's, or -errno
 * @throws RpcFailure for a link that is not followed
 */
export function openFile(
  sys: Pick<FileSys, "open">,
  { base, path, links }: OpenPlace,
  name: string,
  flags: number,
): number {
  const fd = sys.open(base + name, flags | O_CLOEXEC | (links === "refused" ? O_NOFOLLOW : 0), 0);
  if (links === "followed" || fd !== -ELOOP) return fd;
  throw storageError(
    "invalid",
    `volume '${name}' is a symbolic link, and others may write into '${path}': it is not followed`,
  );
}

/** Owner and mode of a file that is open; -1 or undefined leaves each as it is. @throws RpcFailure */
export function setAccess(
  sys: Pick<FileSys, "fchmod">,
  storage: StorageSys,
  fd: number,
  shown: string,
  access: { owner: number | undefined; group: number | undefined; mode: number },
): void {
  const { owner = -1, group = -1, mode } = access;
  if (owner !== -1 || group !== -1) {
    succeeded(storage.changeOwner(fd, owner, group), `cannot chown '${shown}' to (${owner}, ${group})`);
  }
  const digits = mode.toString(8).padStart(4, "0");
  succeeded(sys.fchmod(fd, mode), `cannot set mode of '${shown}' to ${digits}`);
}
