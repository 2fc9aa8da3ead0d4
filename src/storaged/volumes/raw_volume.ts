import { ENOSYS, EOPNOTSUPP } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys, Sys } from "../../os/sys.ts";
import { storageError } from "../model/storage_error.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";
import type { WorkContext } from "../work/operation.ts";
import { copyData, writeAt } from "./copy.ts";
import { failedCall, succeeded } from "./errors.ts";
import { fileSize } from "./file_size.ts";
import { type StepLimits, Steps } from "./step.ts";
import { syncFile } from "./sync_file.ts";

/** FS_NOCOW_FL of chattr(1). */
const NO_COW = 0x0080_0000;
/** Bytes that are allocated before a sign of life. */
const ALLOCATED: StepLimits = { least: 2 ** 28, most: 2 ** 36 };
/** Bytes of zeros that are written at once. */
const ZEROS = 1 << 20;

/** What a raw volume is filled from. */
export interface RawInput {
  readonly fd: number;
  readonly path: string;
  /** Bytes. */
  readonly capacity: bigint;
}

/** A raw volume that is to be made. */
export interface RawRequest {
  readonly volume: VolumeDefinition;
  readonly input: RawInput | undefined;
  readonly reflink: boolean;
}

/** @throws RpcFailure for what a raw volume cannot be */
export function checkRaw(volume: VolumeDefinition, preallocateMetadata: boolean): void {
  if (preallocateMetadata) {
    throw storageError("unsupported", "metadata preallocation is not supported for raw volumes");
  }
  if (volume.backing !== undefined) {
    throw storageError("no-support", "backing storage not supported for raw volumes");
  }
}

/**
 * Fills an empty file: its size at once, which shows how far it is, then its blocks, then the data.
 *
 * @param fd the new file
 * @param shown the path that people will know it by
 * @throws RpcFailure, WorkCancelled
 */
export function fillRaw(
  sys: Pick<FileSys, "ftruncate" | "fsync" | "pread" | "pwrite"> & Pick<Sys, "monotonic">,
  storage: StorageSys,
  fd: number,
  shown: string,
  { volume, input, reflink }: RawRequest,
  context: Pick<WorkContext, "progress" | "checkpoint" | "alive">,
): void {
  if (volume.noCow) setCopyOnWrite(storage, fd, shown, false);
  const capacity = fileSize(volume.capacity, `cannot extend file '${shown}'`);
  const allocation = fileSize(volume.allocation, `cannot allocate space in file '${shown}'`);
  succeeded(sys.ftruncate(fd, capacity), `cannot extend file '${shown}'`);
  const sparse = input !== undefined && volume.allocation < input.capacity;
  let zeros = allocation > 0 && !sparse;
  if (zeros) {
    const allocated = allocate(sys, storage, fd, 0, allocation, context);
    zeros = allocated === -ENOSYS || allocated === -EOPNOTSUPP;
    if (!zeros) succeeded(allocated, `cannot allocate ${allocation} bytes in file '${shown}'`);
  }
  if (zeros) writeZeros(sys, fd, shown, allocation, context);
  if (input !== undefined && reflink) {
    succeeded(storage.cloneFile(input.fd, fd), `failed to clone files from '${input.path}'`);
    // It has the other one's size now.
    succeeded(sys.ftruncate(fd, capacity), `cannot extend file '${shown}'`);
  } else if (input !== undefined) {
    const length = Number(input.capacity);
    const request = { from: input.fd, fromPath: input.path, to: fd, toPath: shown, length };
    copyData(sys, storage, request, context);
  }
  syncFile(sys, storage, fd, shown, context);
}

/**
 * Allocates the beginning of a file, as fallocate(2) does in one call.
 *
 * @param mode of fallocate(2)
 * @returns 0 or -errno
 * @throws WorkCancelled
 */
export function allocate(
  sys: Pick<Sys, "monotonic">,
  storage: StorageSys,
  fd: number,
  mode: number,
  length: number,
  context: Pick<WorkContext, "alive" | "checkpoint">,
): number {
  const steps = new Steps(sys, ALLOCATED);
  for (let at = 0; at < length;) {
    context.checkpoint();
    const piece = Math.min(steps.bytes, length - at);
    const allocated = steps.take(() => storage.allocate(fd, mode, at, piece));
    if (allocated < 0) return allocated;
    context.alive();
    at += piece;
  }
  return 0;
}

/** Fills the beginning of a file with zeros. @throws RpcFailure, WorkCancelled */
export function writeZeros(
  sys: Pick<FileSys, "pwrite">,
  fd: number,
  shown: string,
  length: number,
  context: Pick<WorkContext, "progress" | "checkpoint">,
): void {
  const bytes = new Uint8Array(Math.min(ZEROS, length));
  for (let at = 0; at < length;) {
    context.checkpoint();
    const piece = bytes.subarray(0, Math.min(bytes.length, length - at));
    writeAt(sys, fd, shown, piece, at);
    at += piece.length;
    context.progress(at, length);
  }
}

/**
 * Switches copy-on-write of a file or directory, which only btrfs has.
 *
 * @param on undefined: off where it can be
 * @throws RpcFailure when it was asked for and cannot be
 */
export function setCopyOnWrite(
  storage: StorageSys,
  fd: number,
  shown: string,
  on: boolean | undefined,
): void {
  const attributes = storage.attributes(fd);
  const wanted = on === true ? attributes & ~NO_COW : attributes | NO_COW;
  const set = attributes < 0 ? attributes : storage.setAttributes(fd, wanted);
  if (set >= 0 || on === undefined) return;
  throw failedCall(`unable to control COW flag on '${shown}', not btrfs`, -ENOSYS);
}
