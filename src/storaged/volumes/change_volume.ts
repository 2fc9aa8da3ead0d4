import { F_UNLCK, F_WRLCK, O_NONBLOCK, O_RDONLY, O_RDWR, S_IFMT, S_IFREG } from "../../os/constants.ts";
import { ENOENT, ENOSYS, EOPNOTSUPP } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys } from "../../os/sys.ts";
import { commonError, storageError } from "../model/storage_error.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";
import type { WorkContext } from "../work/operation.ts";
import { findProgram } from "../work/program_run.ts";
import { failedCommonCall, programOutput, succeeded } from "./errors.ts";
import { fileSize } from "./file_size.ts";
import { refuseForeignParts } from "./image_parts.ts";
import { openFile, type OpenPlace } from "./place.ts";
import { needsBacking, programFile } from "./program_file.ts";
import { imageToolLimits, resizeCommand } from "./qemu_img.ts";
import { allocate as allocateBytes, writeZeros } from "./raw_volume.ts";
import { writeBack } from "./sync_file.ts";
import { markUpload, unmarkUpload } from "./upload_mark.ts";
import { VolumeReader } from "./volume_reader.ts";

/** Number of a volume's descriptor in a program. */
const PROGRAM_FILE = 3;
/** QEMU has a lock on this byte of each image that it may write. */
const QEMU_WRITES = 101;
const BLOCK = 512;
const SEEK_END = 2;

/** Algorithms of virStorageVolWipeAlgorithm that scrub(1) knows, by libvirt's number. */
const SCRUB_PATTERNS = [
  "zero",
  "nnsa",
  "dod",
  "bsi",
  "gutmann",
  "schneier",
  "pfitzner7",
  "pfitzner33",
  "random",
];
/** libvirt's number of an algorithm that files do not have. */
const TRIM = 9;
/** How many algorithms there are. */
export const WIPE_ALGORITHMS = 10;

/**
 * Removes a volume; one that has gone already is none to complain about.
 *
 * @throws RpcFailure
 */
export function deleteVolume(
  sys: Pick<FileSys, "unlink">,
  storage: StorageSys,
  place: OpenPlace,
  { name, type }: VolumeDefinition,
): void {
  const shown = `${place.path}/${name}`;
  const [result, what] = type === "dir"
    ? [storage.removeDirectory(place.base + name), "cannot remove directory"] as const
    : [sys.unlink(place.base + name), "cannot unlink file"] as const;
  if (result !== -ENOENT) succeeded(result, `${what} '${shown}'`);
}

/**
 * Opens a volume for changing it.
 *
 * @returns a descriptor, the caller's
 * @throws RpcFailure when it cannot be opened, or a running guest may write it
 */
function openForChange(
  sys: Pick<FileSys, "open" | "close" | "ofdProbe">,
  place: OpenPlace,
  { name }: VolumeDefinition,
  refusal: string,
): number {
  const fd = openFile(sys, place, name, O_RDWR | O_NONBLOCK);
  if (fd < 0) throw failedCommonCall(`${refusal} '${place.path}/${name}'`, fd);
  try {
    refuseGuests(sys, fd, name);
  } catch (error) {
    sys.close(fd);
    throw error;
  }
  return fd;
}

/**
 * Makes sure that no guest has an image open for writing.
 *
 * @throws RpcFailure
 */
export function refuseGuests(sys: Pick<FileSys, "ofdProbe">, fd: number, name: string): void {
  const probe = { type: F_UNLCK, pid: 0 };
  // Storage that has no locks has none of QEMU's either.
  if (sys.ofdProbe(fd, F_WRLCK, QEMU_WRITES, 1, probe) < 0 || probe.type === F_UNLCK) return;
  throw storageError("invalid", `volume '${name}' is still in use.`);
}

/** How a volume's size is to change. */
export interface ResizeRequest {
  readonly volume: VolumeDefinition;
  /** Bytes. */
  readonly capacity: bigint;
  readonly allocate: boolean;
}

/** Changes the size of a volume. @throws RpcFailure, WorkCancelled */
export function resizeVolume(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  { volume, capacity, allocate }: ResizeRequest,
): void {
  const { sys } = context;
  const shown = `${place.path}/${volume.name}`;
  if (volume.encryption !== undefined) {
    const detail = "encrypted volumes cannot be resized: this daemon does not read secrets";
    throw storageError("no-support", detail);
  }
  const raw = volume.format === "raw" || volume.format === undefined;
  if (allocate && !raw) {
    throw storageError("operation-unsupported", "preallocate is only supported for raw type volume");
  }
  const fd = openForChange(sys, place, volume, "Unable to open");
  try {
    if (raw) {
      const size = fileSize(capacity, `Failed to truncate file '${shown}'`);
      return resizeRaw(context, storage, fd, shown, size, allocate);
    }
    resizeImage(context, storage, place, fd, { volume, capacity });
  } finally {
    sys.close(fd);
  }
}

function resizeImage(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  fd: number,
  { volume, capacity }: Pick<ResizeRequest, "volume" | "capacity">,
): void {
  const { sys } = context;
  const shown = `${place.path}/${volume.name}`;
  const found = new VolumeReader(sys, storage).readOpen(place, volume.name, fd) ?? volume;
  refuseForeignParts(found, "resized");
  const tool = findProgram(sys, "qemu-img");
  if (tool === undefined) throw storageError("internal", "unable to find qemu-img");
  const { path, descriptor } = programFile(place, fd, volume.name, PROGRAM_FILE);
  const image = { ...volume, path, backing: found.backing };
  const command = resizeCommand(image, capacity, undefined, needsBacking(place, found));
  const limits = imageToolLimits({ capacity });
  const end = context.run({ argv: [tool, ...command], descriptors: [descriptor], limits });
  programOutput(end, [tool, ...command.map((each) => each.replaceAll(path, shown))]);
}

/** FALLOC_FL_KEEP_SIZE: the size changes in one step, when all of it has its blocks. */
const KEEP_SIZE = 1;

function resizeRaw(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  shown: string,
  capacity: number,
  allocate: boolean,
): void {
  const { sys } = context;
  if (allocate) {
    const allocated = allocateBehind(context, storage, fd, capacity);
    if (allocated === -ENOSYS || allocated === -EOPNOTSUPP) {
      throw commonError("operation-unsupported", "preallocate is not supported on this platform");
    }
    if (allocated < 0) throw failedCommonCall(`Failed to pre-allocate space for file '${shown}'`, allocated);
  }
  const cut = sys.ftruncate(fd, capacity);
  if (cut < 0) throw failedCommonCall(`Failed to truncate file '${shown}'`, cut);
}

/** Blocks behind the end of a file that gets none of them in the end are given back. */
function allocateBehind(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  capacity: number,
): number {
  const { sys } = context;
  const size = storage.seek(fd, 0, SEEK_END);
  if (size < 0) return size;
  let allocated = -1;
  try {
    allocated = allocateBytes(sys, storage, fd, KEEP_SIZE, capacity, context);
    return allocated;
  } finally {
    if (allocated < 0) sys.ftruncate(fd, size);
  }
}

/** Overwrites a volume. `algorithm`: libvirt's number. @throws RpcFailure, WorkCancelled */
export function wipeVolume(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  volume: VolumeDefinition,
  algorithm: number,
): void {
  const { sys } = context;
  const shown = `${place.path}/${volume.name}`;
  if (algorithm === TRIM) throw storageError("argument-unsupported", "'trim' algorithm not supported");
  const pattern = SCRUB_PATTERNS[algorithm];
  if (pattern === undefined) throw storageError("invalid-argument", `unsupported algorithm ${algorithm}`);
  const opened = openForChange(sys, place, volume, "Failed to open storage volume with path");
  try {
    if (pattern !== "zero" && findProgram(sys, "scrub") === undefined) {
      throw failedCommonCall("Cannot find 'scrub' in path", -ENOENT);
    }
    // What is half wiped is as little whole as what is half uploaded.
    markUpload(storage, opened, shown);
    if (pattern === "zero") writeOver(context, storage, opened, shown, volume);
    else scrub(context, opened, shown, pattern);
    unmarkUpload(storage, opened, shown);
  } finally {
    sys.close(opened);
  }
}

function scrub(context: WorkContext, fd: number, shown: string, pattern: string): void {
  const path = `/proc/self/fd/${PROGRAM_FILE}`;
  const command = ["-f", "-p", pattern];
  const end = context.run({ argv: ["scrub", ...command, path], descriptors: [fd] });
  programOutput(end, [findProgram(context.sys, "scrub") ?? "scrub", ...command, shown]);
}

/** A file with holes loses its blocks instead: they would only be made to be zero. */
function writeOver(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  shown: string,
  { allocation }: VolumeDefinition,
): void {
  const { sys } = context;
  const facts = storage.descriptorFacts(fd);
  if (typeof facts === "number") {
    throw failedCommonCall(`Failed to stat storage volume with path '${shown}'`, facts);
  }
  const regular = (facts.mode & S_IFMT) === S_IFREG;
  if (regular && facts.blocks < Math.floor(facts.size / BLOCK)) {
    const cut = (size: number) =>
      succeeded(
        sys.ftruncate(fd, size),
        `Failed to truncate volume with path '${shown}' to ${size} bytes`,
      );
    cut(0);
    cut(facts.size);
    return;
  }
  // A guest may have made the file longer since the volume was looked at.
  const length = regular ? Math.max(facts.size, facts.blocks * BLOCK) : Number(allocation);
  writeZeros(sys, fd, shown, length, context);
  writeBack(sys, storage, fd, shown, context);
  succeeded(storage.syncData(fd), `cannot sync data to volume with path '${shown}'`);
}

/** Opens a volume for reading its data. @throws RpcFailure */
export function openForReading(
  sys: Pick<FileSys, "open">,
  place: OpenPlace,
  name: string,
): number {
  return succeeded(
    openFile(sys, place, name, O_RDONLY | O_NONBLOCK),
    `Unable to open stream for '${place.path}/${name}'`,
  );
}
