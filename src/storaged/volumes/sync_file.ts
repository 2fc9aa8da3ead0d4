import { EINVAL, ENOSYS, EOPNOTSUPP, ESPIPE } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { FileSys, Sys } from "../../os/sys.ts";
import type { WorkContext } from "../work/operation.ts";
import { succeeded } from "./errors.ts";
import { type StepLimits, Steps } from "./step.ts";

/** What is written before a sign of life. */
const PIECE: StepLimits = { least: 8 << 20, most: 1 << 30 };
/** What is no file with pages to write, or is on a kernel that cannot write a piece, is left to fsync. */
const UNABLE = [-EINVAL, -ENOSYS, -EOPNOTSUPP, -ESPIPE];
const SEEK_END = 2;

/** What writing pieces needs of the kernel. */
type PieceSys = Pick<Sys, "monotonic">;

/**
 * Has everything of a file written, piece by piece: what the kernel has gathered of a large file takes slow
 * storage minutes, and one call for all of it would look like storage that hangs.
 *
 * @param shown the path that people know it by
 * @throws RpcFailure, WorkCancelled
 */
export function syncFile(
  sys: PieceSys & Pick<FileSys, "fsync">,
  storage: StorageSys,
  fd: number,
  shown: string,
  context: Pick<WorkContext, "alive" | "checkpoint">,
): void {
  writeBack(sys, storage, fd, shown, context);
  succeeded(sys.fsync(fd), `cannot sync data to file '${shown}'`);
}

/** As {@link syncFile}, without what the file system has to write itself. */
export function writeBack(
  sys: PieceSys,
  storage: StorageSys,
  fd: number,
  shown: string,
  context: Pick<WorkContext, "alive" | "checkpoint">,
): void {
  const end = storage.seek(fd, 0, SEEK_END);
  const steps = new Steps(sys, PIECE);
  for (let at = 0; at < end;) {
    context.checkpoint();
    const length = steps.bytes;
    const written = steps.take((bytes) => storage.syncRange(fd, at, bytes));
    if (UNABLE.includes(written)) return;
    succeeded(written, `cannot sync data to file '${shown}'`);
    context.alive();
    at += length;
  }
}
