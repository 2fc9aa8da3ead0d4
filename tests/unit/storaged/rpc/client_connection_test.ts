import assert from "node:assert/strict";
import { MessageStatus, MessageType } from "../../../../src/chassis/wire/frame.ts";
import type { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import { storageError } from "../../../../src/storaged/model/storage_error.ts";
import type {
  Answer,
  Download,
  DownloadPiece,
  PoolRef,
} from "../../../../src/storaged/model/storage_service.ts";
import { PING_FRAME, PONG_FRAME } from "../../../../src/storaged/rpc/frames.ts";
import { PoolProcedure, VolumeProcedure } from "../../../../src/storaged/wire/remote_protocol.ts";
import { PlayedUpload } from "../../../support/played_upload.ts";
import { answerOf, remoteFrame, StorageStage } from "../../../support/storage_stage.ts";

const POOL = { name: "p", uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f" };
const byName = (writer: XdrWriter) => writer.string("p");
const volumeRange = (writer: XdrWriter) => {
  for (const text of ["p", "v", "/p/v"]) writer.string(text);
  writer.u64(0n);
  writer.u64(0n);
  writer.u32(0);
};

function uploadStage(): { stage: StorageStage; upload: PlayedUpload } {
  const upload = new PlayedUpload();
  const stage = new StorageStage({
    storage: {
      uploadVolume: (_caller, _volume, _range, _flags, answer) => answer({ kind: "done", value: upload }),
    },
  });
  return { stage, upload };
}

const data = (serial: number, ...bytes: number[]) =>
  remoteFrame(
    VolumeProcedure.UPLOAD,
    serial,
    (writer) => writer.opaque(new Uint8Array(bytes)),
    MessageType.STREAM,
    MessageStatus.CONTINUE,
  );
const end = (procedure: number, serial: number, status: number = MessageStatus.OK) =>
  remoteFrame(procedure, serial, () => {}, MessageType.STREAM, status);
const hole = (serial: number, length: bigint) =>
  remoteFrame(
    VolumeProcedure.UPLOAD,
    serial,
    (writer) => {
      writer.i64(length);
      writer.u32(0);
    },
    MessageType.STREAM_HOLE,
    MessageStatus.CONTINUE,
  );

Deno.test("calls are served beside each other and answered by serial, five of a client at once", () => {
  const waiting: Answer<PoolRef>[] = [];
  using stage = new StorageStage({ storage: { poolByName: (_name, answer) => void waiting.push(answer) } });
  const client = stage.open();
  for (let serial = 1; serial <= 7; serial++) {
    client.send(remoteFrame(PoolProcedure.LOOKUP_BY_NAME, serial, byName));
  }
  stage.turn();
  assert.equal(waiting.length, 5);
  waiting[3]?.({ kind: "done", value: POOL });
  stage.turn();
  assert.equal(client.receive().header.serial, 4);
  assert.equal(waiting.length, 6);
  waiting[0]?.({ kind: "refused", failure: storageError("no-pool", "gone") });
  stage.turn();
  const refused = client.receive();
  assert.equal(refused.header.serial, 1);
  assert.equal(answerOf(refused), "49/18 Storage pool not found: gone");
  assert.equal(waiting.length, 7);
});

Deno.test("a ping behind calls that wait is answered", () => {
  using stage = new StorageStage({ storage: { poolByName: () => {} } });
  const client = stage.open();
  for (let serial = 1; serial <= 7; serial++) {
    client.send(remoteFrame(PoolProcedure.LOOKUP_BY_NAME, serial, byName));
  }
  client.send(PING_FRAME);
  stage.turn();
  const pong = client.receive();
  assert.deepEqual(pong.header, {
    program: 0x6b656570,
    version: 1,
    procedure: 2,
    type: 2,
    serial: 0,
    status: 0,
  });
});

Deno.test("a client that goes while calls are under way hears nothing, and the answers find nobody", () => {
  const waiting: Answer<PoolRef>[] = [];
  const gone: string[] = [];
  using stage = new StorageStage({
    storage: {
      poolByName: (_name, answer) => void waiting.push(answer),
      callerGone: (client) => void gone.push(client),
    },
  });
  const client = stage.open();
  client.send(remoteFrame(PoolProcedure.LOOKUP_BY_NAME, 1, byName));
  stage.turn();
  client[Symbol.dispose]();
  stage.turn();
  assert.deepEqual(stage.told, ["disconnected 1: end of stream"]);
  assert.deepEqual(gone, ["1"]);
  waiting[0]?.({ kind: "done", value: POOL });
  assert.equal(stage.server.clients.size, 0);
});

Deno.test("an upload goes into the volume, and its end is answered when all of it is there", () => {
  const { stage, upload } = uploadStage();
  using _stage = stage;
  const client = stage.open();
  client.send(remoteFrame(VolumeProcedure.UPLOAD, 9, volumeRange));
  stage.turn();
  assert.equal(client.receive().header.type, MessageType.REPLY);
  client.send(data(9, 1, 2, 3, 4));
  client.send(hole(9, 1_000_000_000_000n));
  client.send(data(9, 5, 6, 7, 8));
  client.send(end(VolumeProcedure.UPLOAD, 9));
  stage.turn();
  assert.deepEqual(upload.taken, [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.deepEqual(upload.heard, ["hole 1000000000000", "finish"]);
  assert.equal(client.quiet, true);
  upload.end?.({ kind: "done", value: undefined });
  const { header } = client.receive();
  const expected = { program: 0x20008086, version: 1, procedure: 208, type: 3, serial: 9, status: 0 };
  assert.deepEqual(header, expected);
});

Deno.test("a volume that takes no more keeps its client waiting, and nothing is lost", () => {
  const { stage, upload } = uploadStage();
  using _stage = stage;
  const client = stage.open();
  client.send(remoteFrame(VolumeProcedure.UPLOAD, 9, volumeRange));
  stage.turn();
  client.receive();
  upload.room = 2;
  client.send(data(9, 1, 2, 3, 4));
  client.send(hole(9, 5n));
  client.send(end(VolumeProcedure.UPLOAD, 9));
  stage.turn();
  assert.deepEqual(upload.taken, [1, 2]);
  upload.room = 2;
  upload.ready();
  stage.turn();
  assert.deepEqual(upload.taken, [1, 2, 3, 4]);
  assert.deepEqual(upload.heard, []);
  upload.room = 1;
  upload.ready();
  stage.turn();
  assert.deepEqual(upload.heard, ["hole 5", "finish"]);
});

Deno.test("a volume that fails is told once, what still comes is passed over, and calls go on", () => {
  const { stage, upload } = uploadStage();
  using _stage = stage;
  const client = stage.open();
  client.send(remoteFrame(VolumeProcedure.UPLOAD, 9, volumeRange));
  stage.turn();
  client.receive();
  upload.failed(storageError("failed", "no space"));
  const told = client.receive();
  assert.equal(told.header.type, MessageType.STREAM);
  assert.equal(answerOf(told), "9/18 operation failed: no space");
  client.send(data(9, 1, 2, 3, 4));
  client.send(end(VolumeProcedure.UPLOAD, 9, MessageStatus.ERROR));
  client.send(remoteFrame(PoolProcedure.LOOKUP_BY_NAME, 10, byName));
  stage.turn();
  assert.equal(client.receive().header.serial, 10);
  assert.deepEqual(upload.taken, []);
});

Deno.test("an upload that its client gives up is aborted, also when the client just goes", () => {
  for (const way of ["abort", "go"]) {
    const { stage, upload } = uploadStage();
    using _stage = stage;
    const client = stage.open();
    client.send(remoteFrame(VolumeProcedure.UPLOAD, 9, volumeRange));
    stage.turn();
    client.receive();
    if (way === "abort") client.send(end(VolumeProcedure.UPLOAD, 9, MessageStatus.ERROR));
    else client[Symbol.dispose]();
    stage.turn();
    assert.deepEqual(upload.heard, ["abort"]);
    if (way === "abort") assert.equal(client.receive().header.status, MessageStatus.OK);
  }
});

function downloadStage(pieces: { shift(): (DownloadPiece & { bytes?: number[] }) | undefined }) {
  const heard: string[] = [];
  const download: Download = {
    next(into) {
      const piece = pieces.shift() ?? { kind: "wait" };
      if (piece.bytes !== undefined) into.set(piece.bytes);
      return piece;
    },
    ready: () => {},
    close: () => void heard.push("close"),
  };
  const stage = new StorageStage({
    storage: {
      downloadVolume: (_caller, _volume, _range, _flags, answer) => answer({ kind: "done", value: download }),
    },
  });
  return { stage, download, heard };
}

Deno.test("a download comes in packets, an empty one behind the last byte, and ends when the client says so", () => {
  const pieces: (DownloadPiece & { bytes?: number[] })[] = [
    { kind: "data", length: 4, bytes: [1, 2, 3, 4] },
    { kind: "hole", length: 4096n },
  ];
  const { stage, download, heard } = downloadStage(pieces);
  using _stage = stage;
  const client = stage.open();
  client.send(remoteFrame(VolumeProcedure.DOWNLOAD, 9, volumeRange));
  stage.turn();
  assert.equal(client.receive().header.type, MessageType.REPLY);
  const packet = client.receive();
  assert.deepEqual([packet.header.type, packet.header.status], [3, 2]);
  assert.deepEqual([...packet.payload], [1, 2, 3, 4]);
  const skipped = client.receive();
  assert.deepEqual([skipped.header.type, skipped.header.status], [6, 2]);
  assert.deepEqual([...skipped.payload], [0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0]);
  pieces.push({ kind: "end" });
  download.ready();
  stage.turn();
  const eof = client.receive();
  assert.deepEqual([eof.header.type, eof.header.status, eof.payload.length], [3, 2, 0]);
  client.send(end(VolumeProcedure.DOWNLOAD, 9));
  stage.turn();
  const last = client.receive();
  assert.deepEqual([last.header.type, last.header.status], [3, 0]);
  assert.equal(heard[0], "close");
});

Deno.test("a download that fails is told with its reason", () => {
  const pieces: DownloadPiece[] = [{ kind: "failed", failure: storageError("failed", "cannot read") }];
  const { stage } = downloadStage(pieces);
  using _stage = stage;
  const client = stage.open();
  client.send(remoteFrame(VolumeProcedure.DOWNLOAD, 9, volumeRange));
  stage.turn();
  client.receive();
  const told = client.receive();
  assert.deepEqual([told.header.type, answerOf(told)], [3, "9/18 operation failed: cannot read"]);
});

Deno.test("of a download that nobody reads no more is taken than one packet beyond the socket", () => {
  let asked = 0;
  const pieces = { shift: () => (asked++, { kind: "data", length: 262120 } as const) };
  const { stage } = downloadStage(pieces);
  using _stage = stage;
  const client = stage.open();
  client.send(remoteFrame(VolumeProcedure.DOWNLOAD, 9, volumeRange));
  stage.turn();
  const before = asked;
  stage.turn();
  assert.equal(asked, before);
  assert.ok(asked < 64, `${asked} packets were taken`);
});

Deno.test("other messages than those of the protocol are passed over", () => {
  using stage = new StorageStage();
  const client = stage.open();
  client.send(PONG_FRAME);
  for (const type of [1, 2, 3, 6, 77]) client.send(remoteFrame(1, 3, (writer) => writer.u32(7), type));
  client.send(remoteFrame(9999, 4));
  stage.turn();
  const answer = client.receive();
  assert.equal(answer.header.serial, 4);
  assert.equal(answerOf(answer), "39/7 unknown procedure: 9999");
});
