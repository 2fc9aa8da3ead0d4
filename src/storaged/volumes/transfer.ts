import { O_NONBLOCK, O_WRONLY, S_IFDIR, S_IFMT, S_IFREG } from "../../os/constants.ts";
import { ECONNRESET, EISDIR, ENOSPC, ENXIO, EPIPE } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import { type RpcFailure, systemError } from "../../chassis/wire/rpc_error.ts";
import { commonError, notWhole } from "../model/storage_error.ts";
import { WorkCancelled, type WorkContext } from "../work/operation.ts";
import { openForReading, refuseGuests } from "./change_volume.ts";
import { writeAt } from "./copy.ts";
import { failedCommonCall, succeeded } from "./errors.ts";
import { FRAME_DATA, FrameKind, HEAD_SIZE, readHead, writeHead } from "./frames.ts";
import { openFile, type OpenPlace } from "./place.ts";
import { writeBack } from "./sync_file.ts";
import { isMarked, markUpload, unmarkUpload } from "./upload_mark.ts";

/** Types of file systems on which a file that is closed is written first: NFS, SMB (two of them), FUSE. */
const WRITES_ON_CLOSE = [0x6969, 0xff534d42, 0xfe534d42, 0x65735546];
const SEEK_SET = 0;
const SEEK_END = 2;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Which piece of a volume goes over a stream. */
export interface TransferRequest {
  readonly name: string;
  /** Bytes. */
  readonly offset: number;
  /** Bytes; 0: up to the end. */
  readonly length: number;
  readonly sparse: boolean;
}

/**
 * Sends a volume's data as frames over the socket that came along.
 *
 * @throws RpcFailure, WorkCancelled when the other end is gone
 */
export function sendVolume(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  { name, offset, length, sparse }: TransferRequest,
): void {
  const { sys } = context;
  const shown = `${place.path}/${name}`;
  const socket = socketOf(context);
  const fd = openForReading(sys, place, name);
  try {
    if (isMarked(storage, fd)) throw notWhole(name);
    const facts = storage.descriptorFacts(fd);
    if (typeof facts !== "number" && (facts.mode & S_IFMT) === S_IFDIR) {
      throw failedCommonCall(`Unable to read ${shown}`, -EISDIR);
    }
    const size = succeeded(storage.seek(fd, 0, SEEK_END), `Unable to seek ${shown} to ${offset}`);
    const end = length === 0 ? size : Math.min(size, offset + length);
    for (let at = offset; at < end;) {
      at = sparse
        ? sendSparse(context, storage, fd, socket, shown, at, end)
        : sendData(context, storage, fd, socket, shown, at, end);
      context.progress(at - offset, end - offset);
    }
    sendHead(sys, socket, FrameKind.END, 0);
  } finally {
    sys.close(fd);
  }
}

function socketOf({ descriptors }: WorkContext): number {
  const [socket] = descriptors;
  if (socket === undefined) throw commonError("internal", "the stream's descriptor did not arrive");
  return socket;
}

/** Sends the hole at a position, or the data up to the next one. @returns where it ended */
function sendSparse(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  socket: number,
  shown: string,
  at: number,
  end: number,
): number {
  const data = storage.seek(fd, at, SEEK_DATA);
  const begin = data === -ENXIO ? end : data < 0 ? at : Math.min(data, end);
  if (begin > at) {
    sendHead(context.sys, socket, FrameKind.HOLE, begin - at);
    return begin;
  }
  const hole = storage.seek(fd, at, SEEK_HOLE);
  return sendData(context, storage, fd, socket, shown, at, hole < 0 ? end : Math.min(hole, end));
}

/** @returns where it ended */
function sendData(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  socket: number,
  shown: string,
  start: number,
  end: number,
): number {
  succeeded(storage.seek(fd, start, SEEK_SET), `Unable to seek ${shown} to ${start}`);
  for (let at = start; at < end;) {
    const stop = Math.min(end, at + FRAME_DATA);
    sendHead(context.sys, socket, FrameKind.DATA, stop - at);
    while (at < stop) {
      const sent = storage.sendFile(socket, fd, stop - at);
      if (sent <= 0) throw unsent(sent, shown);
      at += sent;
    }
    context.checkpoint();
  }
  return end;
}

/** Why a piece of a volume could not be sent. `result`: of sendfile(2), which tells of both ends. */
function unsent(result: number, shown: string): RpcFailure | WorkCancelled {
  if (result === 0) return commonError("internal", `'${shown}' became shorter while it was read`);
  if (result === -EPIPE || result === -ECONNRESET) return new WorkCancelled();
  return failedCommonCall(`Unable to read ${shown}`, result);
}

function sendHead(sys: Pick<Sys, "write">, socket: number, kind: FrameKind, length: number): void {
  const head = new Uint8Array(HEAD_SIZE);
  writeHead(head, kind, length);
  for (let sent = 0; sent < HEAD_SIZE;) {
    const count = sys.write(socket, head.subarray(sent));
    if (count <= 0) throw new WorkCancelled();
    sent += count;
  }
}

/**
 * Writes what comes as frames over the socket that came along into a volume.
 *
 * @throws RpcFailure, WorkCancelled when the other end is gone before the end was said
 */
export function receiveVolume(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  request: TransferRequest,
): void {
  const { sys } = context;
  const { name, offset, length } = request;
  const shown = `${place.path}/${name}`;
  const socket = socketOf(context);
  const fd = openFile(sys, place, name, O_WRONLY | O_NONBLOCK);
  if (fd < 0) throw failedCommonCall(`Unable to open stream for '${shown}'`, fd);
  try {
    refuseGuests(sys, fd, name);
    const limit = length === 0 ? Infinity : offset + length;
    const end = writeFrames(context, storage, { fd, socket, shown, offset, limit });
    const all = () => context.progress(end - offset, end - offset);
    all();
    // As libvirt's daemon, it leaves it to the kernel when the data goes to the disk, which every reader
    // sees; but where closing writes it, that is to be heard of.
    if (WRITES_ON_CLOSE.includes(storage.fileSystem(fd))) {
      writeBack(sys, storage, fd, shown, { ...context, alive: all });
    }
    unmarkUpload(storage, fd, shown);
  } finally {
    sys.close(fd);
  }
}

/** VIR_FROM_STREAMS. */
const STREAMS = 38;

/** More has come than was announced: to libvirt's clients the stream is a device that is full then. */
function streamFull(): RpcFailure {
  return systemError(STREAMS, "cannot write to stream", ENOSPC, "No space left on device");
}

interface Writing {
  readonly fd: number;
  readonly socket: number;
  readonly shown: string;
  readonly offset: number;
  /** Nothing may be written from here on. */
  readonly limit: number;
}

/** @returns where the last frame ended */
function writeFrames(context: WorkContext, storage: StorageSys, writing: Writing): number {
  const { sys } = context;
  const { fd, socket, shown, limit } = writing;
  const bytes = new Uint8Array(FRAME_DATA);
  let at = writing.offset;
  let marked = false;
  for (;;) {
    receive(sys, socket, bytes.subarray(0, HEAD_SIZE));
    const { kind, length } = readHead(bytes);
    if (kind === FrameKind.END) return at;
    if (at + length > limit) {
      throw streamFull();
    }
    // An upload that ends before anything has come leaves the volume as it was.
    if (!marked) markUpload(storage, fd, shown);
    marked = true;
    if (kind === FrameKind.HOLE) {
      leaveHole(context, storage, fd, shown, at, length);
    } else {
      const piece = bytes.subarray(0, length);
      receive(sys, socket, piece);
      writeAt(sys, fd, shown, piece, at);
    }
    at += length;
    context.progress(at - writing.offset, Math.max(at - writing.offset, limit === Infinity ? 0 : limit));
    context.checkpoint();
  }
}

const PUNCH_HOLE = 2;
const KEEP_SIZE = 1;

/** A hole in the place of what was there; zeros where there can be no hole. */
function leaveHole(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  shown: string,
  at: number,
  length: number,
): void {
  const facts = storage.descriptorFacts(fd);
  const size = typeof facts !== "number" && (facts.mode & S_IFMT) === S_IFREG ? facts.size : Infinity;
  const inside = Math.min(length, Math.max(size - at, 0));
  if (inside > 0 && storage.allocate(fd, PUNCH_HOLE | KEEP_SIZE, at, inside) < 0) {
    const zeros = new Uint8Array(Math.min(FRAME_DATA, inside));
    for (let done = 0; done < inside;) {
      const piece = zeros.subarray(0, Math.min(zeros.length, inside - done));
      writeAt(context.sys, fd, shown, piece, at + done);
      done += piece.length;
      context.checkpoint();
    }
  }
  if (at + length <= size) return;
  succeeded(context.sys.ftruncate(fd, at + length), `Unable to truncate ${shown}`);
}

/** Fills a buffer from the socket. @throws WorkCancelled at the end of the stream */
function receive(sys: Pick<Sys, "read">, socket: number, into: Uint8Array): void {
  for (let got = 0; got < into.length;) {
    const count = sys.read(socket, into.subarray(got));
    if (count <= 0) throw new WorkCancelled();
    got += count;
  }
}
