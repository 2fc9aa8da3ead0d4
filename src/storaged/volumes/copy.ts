import { EINVAL, ENOSYS, ENXIO, EOPNOTSUPP, EXDEV } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys, Sys } from "../../os/sys.ts";
import type { WorkContext } from "../work/operation.ts";
import { failedCall, succeeded } from "./errors.ts";
import { type StepLimits, Steps } from "./step.ts";

const SEEK_SET = 0;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** Bytes that are copied before anybody is asked whether to go on. */
const STEP: StepLimits = { least: 1 << 20, most: 16 << 20 };
/** Bytes of the buffer where the kernel cannot copy by itself. */
const BUFFER = 1 << 20;
/** The kernel cannot copy between these two: it is done here. */
const UNABLE = [-EXDEV, -EINVAL, -ENOSYS, -EOPNOTSUPP];

/** What copying needs of the kernel. */
type CopySys = Pick<FileSys, "pread" | "pwrite"> & Pick<Sys, "monotonic">;

/** What is copied. Names are for messages. */
export interface CopyRequest {
  readonly from: number;
  readonly fromPath: string;
  readonly to: number;
  readonly toPath: string;
  /** Bytes from the beginning of both. */
  readonly length: number;
}

/**
 * Copies the data of a file into one that reads as zeros there: what is a hole stays as it is.
 *
 * @throws RpcFailure, WorkCancelled
 */
export function copyData(
  sys: CopySys,
  storage: StorageSys,
  request: CopyRequest,
  context: Pick<WorkContext, "progress" | "checkpoint">,
): void {
  const { from, length } = request;
  const steps = new Steps(sys, STEP);
  for (let at = 0; at < length;) {
    const begin = storage.seek(from, at, SEEK_DATA);
    // Nothing but a hole up to the end.
    if (begin === -ENXIO) break;
    // A file system that does not know holes has data everywhere.
    const start = begin < 0 ? at : begin;
    const hole = storage.seek(from, start, SEEK_HOLE);
    const end = Math.min(hole < 0 ? length : hole, length);
    if (start >= end) break;
    copyExtent(sys, storage, request, { start, end, steps }, context);
    at = end;
  }
  context.progress(length, length);
}

/** A piece without holes. */
interface Extent {
  readonly start: number;
  readonly end: number;
  readonly steps: Steps;
}

function copyExtent(
  sys: CopySys,
  storage: StorageSys,
  { from, fromPath, to, toPath, length }: CopyRequest,
  { start, end, steps }: Extent,
  context: Pick<WorkContext, "progress" | "checkpoint">,
): void {
  succeeded(storage.seek(from, start, SEEK_SET), `failed reading from file '${fromPath}'`);
  succeeded(storage.seek(to, start, SEEK_SET), `failed writing to file '${toPath}'`);
  let at = start;
  while (at < end) {
    context.checkpoint();
    const left = end - at;
    const count = steps.take((bytes) => storage.copyRange(from, to, Math.min(bytes, left)));
    if (UNABLE.includes(count)) break;
    if (count < 0) throw failedCall(`failed writing to file '${toPath}'`, count);
    // It became shorter meanwhile.
    if (count === 0) return;
    at += count;
    context.progress(at, length);
  }
  const buffer = new Uint8Array(BUFFER);
  while (at < end) {
    context.checkpoint();
    const count = sys.pread(from, buffer.subarray(0, Math.min(BUFFER, end - at)), at);
    if (count < 0) throw failedCall(`failed reading from file '${fromPath}'`, count);
    if (count === 0) return;
    writeAt(sys, to, toPath, buffer.subarray(0, count), at);
    at += count;
    context.progress(at, length);
  }
}

/** Writes all of it. @throws RpcFailure */
export function writeAt(
  sys: Pick<FileSys, "pwrite">,
  fd: number,
  path: string,
  bytes: Uint8Array,
  position: number,
): void {
  for (let written = 0; written < bytes.length;) {
    const count = sys.pwrite(fd, bytes.subarray(written), position + written);
    if (count < 0) throw failedCall(`failed writing to file '${path}'`, count);
    written += count;
  }
}
