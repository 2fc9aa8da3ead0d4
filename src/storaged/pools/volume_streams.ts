import { SystemError } from "../../os/system_error.ts";
import { storageError } from "../model/storage_error.ts";
import type {
  Answer,
  Caller,
  Download,
  StorageService,
  Upload,
  VolumeRef,
} from "../model/storage_service.ts";
import type { Core } from "./core.ts";
import type { Job } from "./job_list.ts";
import type { Pool } from "./pool.ts";
import { streamOptions } from "./job_work.ts";
import { checkFlags, SPARSE } from "./flags.ts";
import { attempting, done } from "./outcome.ts";
import { runInPlace } from "./pool_work.ts";
import { refresh } from "./refresh.ts";
import { fileSize } from "../volumes/file_size.ts";
import { StorageWatch } from "./storage_watch.ts";
import { TransferSocket } from "./transfer_socket.ts";
import { refuseHalf, refuseUsed } from "./volume_changes.ts";
import { VolumeDownload } from "./volume_download.ts";
import { beginChange, beginReading, type VolumeEntry } from "./volume_list.ts";
import { whenFound, whenLookedAt } from "./volume_questions.ts";
import { VolumeUpload } from "./volume_upload.ts";

/** Which bytes of a volume are meant. */
interface Range {
  readonly offset: bigint;
  readonly length: bigint;
}

/** The calls that send a volume over a stream, or take one. */
export function volumeStreams(core: Core): Pick<StorageService, "uploadVolume" | "downloadVolume"> {
  return {
    uploadVolume: (caller, ref, range, flags, answer) =>
      attempting(answer, () => {
        checkFlags(flags, SPARSE, "storageVolUpload");
        upload(core, caller, ref, range, (flags & SPARSE) !== 0, answer);
      }),
    downloadVolume: (caller, ref, range, flags, answer) =>
      attempting(answer, () => {
        checkFlags(flags, SPARSE, "storageVolDownload");
        download(core, caller, ref, range, (flags & SPARSE) !== 0, answer);
      }),
  };
}

function pair(core: Core): { socket: TransferSocket; far: number } {
  try {
    return TransferSocket.pair(core.parts);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    throw storageError("failed", `no stream could be made: ${error.reason}`);
  }
}

/** Gives a stream up for whose storage it was waited too long. */
function watchOf(core: Core, job: Job): StorageWatch {
  const watch: StorageWatch = new StorageWatch(core.parts, (waited) => {
    if (job.work?.running === true) return job.work.giveUp(waited);
    // It waits for a helper, which is nothing that its storage could help.
    watch.begin(waited);
  });
  job.idle = () => !watch.waiting;
  return watch;
}

/** Nobody has a use for a stream any more: one that still waits for a helper is not begun. */
function withdraw(job: Job): void {
  if (job.work?.running === false) job.cancel(storageError("aborted", `${job.text} was given up`));
}

function seekText(path: string | undefined, offset: bigint): string {
  return `Unable to seek ${path} to ${offset}`;
}

/** A length is only a limit: what is more than any file has is none. */
function lengthOf(length: bigint): number {
  return Math.min(Number(length), Number.MAX_SAFE_INTEGER);
}

function upload(
  core: Core,
  caller: Caller,
  ref: VolumeRef,
  { offset, length }: Range,
  sparse: boolean,
  answer: Answer<Upload>,
): void {
  whenFound(core, ref, answer, (pool, entry) => {
    refuseUsed(entry);
    const { name, path } = entry.definition;
    const bytes = { offset: fileSize(offset, seekText(path, offset)), length: lengthOf(length) };
    const { socket, far } = pair(core);
    const job = core.jobs.begin({ kind: "upload", pool, volume: name, caller, bound: true });
    job.wake = () => socket.close();
    socket.closed = () => withdraw(job);
    const stream = new VolumeUpload(
      socket,
      watchOf(core, job),
      () => core.parts.settings().startLimit,
      () => {
        // What is in it now is known only to its file.
        if (pool.state.kind === "active") refresh(core, pool, () => {});
      },
    );
    const request = { name, ...bytes, sparse };
    const heard = () => stream.heard();
    const options = { ...streamOptions(core, job), descriptors: [far], heard, over: beginChange(entry) };
    runInPlace(
      core,
      pool,
      core.operations.uploadVolume,
      request,
      options,
      () => stream.ended(undefined),
      (failure) => stream.ended(failure),
    );
    done(answer, stream);
  });
}

function download(
  core: Core,
  caller: Caller,
  ref: VolumeRef,
  { offset, length }: Range,
  sparse: boolean,
  answer: Answer<Download>,
): void {
  const begin = (pool: Pool, entry: VolumeEntry) => {
    const { name, path } = entry.definition;
    const bytes = { offset: fileSize(offset, seekText(path, offset)), length: lengthOf(length) };
    const { socket, far } = pair(core);
    const job = core.jobs.begin({ kind: "download", pool, volume: name, caller, bound: true });
    job.wake = () => socket.close();
    socket.closed = () => withdraw(job);
    const end = beginReading(entry);
    const stream = new VolumeDownload(
      socket,
      watchOf(core, job),
      () => core.parts.settings().startLimit,
      end,
    );
    const request = { name, ...bytes, sparse };
    const options = { ...streamOptions(core, job), descriptors: [far] };
    runInPlace(
      core,
      pool,
      core.operations.downloadVolume,
      request,
      options,
      () => stream.completed(),
      (failure) => stream.fail(failure),
    );
    done(answer, stream);
  };
  whenFound(core, ref, answer, (pool, entry) => {
    refuseWritten(entry);
    if (!entry.definition.interrupted) return begin(pool, entry);
    // The list may have been read in the middle of a change that has come to its end since.
    whenLookedAt(core, ref, answer, refuseWritten, (pool, entry) => {
      refuseHalf(entry);
      begin(pool, entry);
    });
  });
}

/** What is being written is not worth reading. @throws RpcFailure */
function refuseWritten(entry: VolumeEntry): void {
  if (entry.use.kind !== "read") refuseUsed(entry);
}
