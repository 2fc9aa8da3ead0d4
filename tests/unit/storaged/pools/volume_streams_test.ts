import assert from "node:assert/strict";
import type { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import { storageError } from "../../../../src/storaged/model/storage_error.ts";
import { StorageWatch } from "../../../../src/storaged/pools/storage_watch.ts";
import { TransferSocket } from "../../../../src/storaged/pools/transfer_socket.ts";
import { VolumeDownload } from "../../../../src/storaged/pools/volume_download.ts";
import { VolumeUpload } from "../../../../src/storaged/pools/volume_upload.ts";
import { FrameKind, HEAD_SIZE, writeHead } from "../../../../src/storaged/volumes/frames.ts";
import { kernel } from "../../../support/kernel.ts";
import { MovedLoop } from "../../../support/moved_loop.ts";

// How a stream to or from the helper of a volume ends, with the test in the helper's place.

const PIECE = 1000;
const LIMIT = () => PIECE;
const FAILURE = storageError("failed", "no way");

/** A stream's two ends. */
class Stage extends MovedLoop {
  readonly told: string[] = [];
  readonly far: number;
  readonly socket: TransferSocket;
  readonly watch = new StorageWatch(this, (waited) => this.told.push(`late after ${waited}`));

  constructor() {
    super();
    const { socket, far } = TransferSocket.pair(this);
    this.socket = socket;
    this.far = far;
  }

  upload(): VolumeUpload {
    const upload = new VolumeUpload(this.socket, this.watch, LIMIT, () => this.told.push("closed"));
    upload.ready = () => this.told.push("ready");
    upload.failed = ({ message }: RpcFailure) => this.told.push(`failed: ${message}`);
    return upload;
  }

  download(): VolumeDownload {
    const download = new VolumeDownload(this.socket, this.watch, LIMIT, () => this.told.push("closed"));
    download.ready = () => this.told.push("ready");
    return download;
  }

  finish(upload: VolumeUpload): void {
    upload.finish((outcome) =>
      this.told.push(outcome.kind === "done" ? "done" : `refused: ${outcome.failure.message}`)
    );
  }

  /** What the helper reads: at most so many bytes. */
  read(length: number): Uint8Array {
    const into = new Uint8Array(length);
    let got = 0;
    while (got < length) {
      const count = kernel.read(this.far, into.subarray(got));
      if (count <= 0) break;
      got += count;
    }
    return into.subarray(0, got);
  }

  /** The helper sends a frame. */
  send(kind: FrameKind, length: number, data = new Uint8Array()): void {
    const frame = new Uint8Array(HEAD_SIZE + data.length);
    writeHead(frame, kind, length);
    frame.set(data, HEAD_SIZE);
    assert.equal(kernel.write(this.far, frame), frame.length);
  }

  /** Fills the way to the helper. @returns how many bytes were taken */
  fill(upload: VolumeUpload): number {
    const packet = new Uint8Array(1 << 18);
    for (let taken = 0;;) {
      const count = upload.write(packet);
      taken += count;
      if (count < packet.length) return taken;
    }
  }

  override [Symbol.dispose](): void {
    this.watch.end();
    this.socket.close();
    kernel.close(this.far);
    super[Symbol.dispose]();
  }
}

Deno.test("an upload is done when the helper has everything, and is told closed before", () => {
  using stage = new Stage();
  const upload = stage.upload();
  assert.equal(upload.write(new TextEncoder().encode("data")), 4);
  assert.equal(upload.hole(8n), true);
  stage.finish(upload);
  assert.equal(stage.read(3 * HEAD_SIZE + 4).length, 3 * HEAD_SIZE + 4);
  assert.deepEqual(stage.told, []);
  upload.ended(undefined);
  assert.deepEqual(stage.told, ["closed", "done"]);
  stage.wait(2 * PIECE);
  assert.deepEqual(stage.told, ["closed", "done"]);
});

Deno.test("an upload whose helper fails tells so at once, takes nothing more, and its end is refused", () => {
  using stage = new Stage();
  const upload = stage.upload();
  upload.ended(FAILURE);
  assert.deepEqual(stage.told, ["closed", "failed: operation failed: no way"]);
  assert.equal(upload.write(new Uint8Array(4)), 0);
  assert.equal(upload.hole(4n), false);
  stage.finish(upload);
  assert.equal(stage.told.at(-1), "refused: operation failed: no way");
});

Deno.test("a helper that says it has everything before the client has said so has not", () => {
  using stage = new Stage();
  const upload = stage.upload();
  upload.write(new Uint8Array(4));
  upload.ended(undefined);
  assert.deepEqual(stage.told, [
    "closed",
    "failed: operation failed: the helper process ended before the operation was done",
  ]);
});

Deno.test("an upload for whose storage it is waited is late; one whose client is silent is not", () => {
  using stage = new Stage();
  const upload = stage.upload();
  assert.equal(upload.write(new Uint8Array(4)), 4);
  stage.wait(10 * PIECE);
  assert.deepEqual(stage.told, []);
  stage.fill(upload);
  stage.wait(PIECE - 100);
  upload.heard();
  stage.wait(PIECE - 100);
  assert.deepEqual(stage.told, []);
  stage.wait(101);
  assert.deepEqual(stage.told, [`late after ${PIECE}`]);
});

Deno.test("an upload goes on when its helper does, and is not late behind that", () => {
  using stage = new Stage();
  const upload = stage.upload();
  const taken = stage.fill(upload);
  stage.read(taken);
  stage.turn();
  assert.deepEqual(stage.told, ["ready"]);
  stage.wait(10 * PIECE);
  assert.deepEqual(stage.told, ["ready"]);
});

Deno.test("an upload of which everything is written is late when it is not closed in time", () => {
  using stage = new Stage();
  const upload = stage.upload();
  upload.write(new Uint8Array(100));
  upload.hole(100n);
  stage.finish(upload);
  stage.wait(PIECE - 100);
  upload.heard();
  stage.wait(PIECE - 100);
  upload.heard();
  stage.wait(PIECE - 100);
  assert.deepEqual(stage.told, []);
  stage.wait(101);
  assert.deepEqual(stage.told, [`late after ${PIECE}`]);
});

Deno.test("an upload that is given up tells when the volume is free, and is late when storage holds it up", () => {
  using stage = new Stage();
  const upload = stage.upload();
  upload.write(new Uint8Array(4));
  upload.abort(() => stage.told.push("freed"));
  assert.equal(stage.read(HEAD_SIZE + 5).length, HEAD_SIZE + 4);
  assert.deepEqual(stage.told, []);
  stage.wait(PIECE + 1);
  assert.deepEqual(stage.told, [`late after ${PIECE}`]);
  upload.ended(FAILURE);
  assert.deepEqual(stage.told.slice(1), ["closed", "freed"]);
  upload.abort(() => stage.told.push("freed again"));
  assert.equal(stage.told.at(-1), "freed again");
});

Deno.test("a download brings data and holes, and ends once", () => {
  using stage = new Stage();
  const download = stage.download();
  const into = new Uint8Array(3);
  stage.send(FrameKind.DATA, 4, new TextEncoder().encode("data"));
  stage.send(FrameKind.HOLE, 8);
  stage.send(FrameKind.END, 0);
  assert.deepEqual(download.next(into), { kind: "data", length: 3 });
  assert.deepEqual(download.next(into), { kind: "data", length: 1 });
  assert.deepEqual(download.next(into), { kind: "hole", length: 8n });
  assert.deepEqual(download.next(into), { kind: "end" });
  assert.deepEqual(download.next(into), { kind: "end" });
  download.close();
  download.completed();
  assert.deepEqual(stage.told, ["closed"]);
  stage.wait(10 * PIECE);
  assert.deepEqual(stage.told, ["closed"]);
});

Deno.test("a download for whose storage it is waited is late; one that nobody reads is not", () => {
  using stage = new Stage();
  const download = stage.download();
  stage.wait(10 * PIECE);
  assert.deepEqual(stage.told, []);
  assert.deepEqual(download.next(new Uint8Array(3)), { kind: "wait" });
  stage.send(FrameKind.HOLE, 8);
  stage.turn();
  assert.deepEqual(stage.told, ["ready"]);
  stage.wait(10 * PIECE);
  assert.deepEqual(stage.told, ["ready"]);
  download.next(new Uint8Array(3));
  download.next(new Uint8Array(3));
  stage.wait(PIECE + 1);
  assert.deepEqual(stage.told, ["ready", `late after ${PIECE}`]);
});

Deno.test("a download whose helper fails ends with that, though its other end stays open", () => {
  using stage = new Stage();
  const download = stage.download();
  assert.deepEqual(download.next(new Uint8Array(3)), { kind: "wait" });
  stage.send(FrameKind.DATA, 4, new TextEncoder().encode("data"));
  download.fail(FAILURE);
  assert.deepEqual(stage.told, ["closed", "ready"]);
  assert.deepEqual(download.next(new Uint8Array(3)), { kind: "failed", failure: FAILURE });
});

Deno.test("a download whose helper ends without the end of the volume is none", () => {
  using stage = new Stage();
  const download = stage.download();
  stage.send(FrameKind.DATA, 8, new TextEncoder().encode("half"));
  assert.deepEqual(download.next(new Uint8Array(8)), { kind: "data", length: 4 });
  kernel.shutdown(stage.far);
  assert.deepEqual(download.next(new Uint8Array(8)), { kind: "wait" });
  download.completed();
  assert.deepEqual(stage.told, ["ready"]);
  const piece = download.next(new Uint8Array(8));
  assert.equal(
    piece.kind === "failed" && piece.failure.message,
    "operation failed: the helper process ended before the operation was done",
  );
});
