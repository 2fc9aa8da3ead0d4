import assert from "node:assert/strict";
import { type Header, MessageStatus, MessageType, readHeader } from "../../../../src/chassis/wire/frame.ts";
import { emptyHeader } from "../../../../src/chassis/wire/frame.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import type { Download } from "../../../../src/storaged/model/storage_service.ts";
import { ClientStreams } from "../../../../src/storaged/rpc/client_streams.ts";
import { PlayedUpload } from "../../../support/played_upload.ts";

const callOf = (serial: number): Header => ({
  program: 7,
  version: 1,
  procedure: 3,
  type: MessageType.CALL,
  serial,
  status: MessageStatus.OK,
});
const packetOf = (serial: number, status: number = MessageStatus.CONTINUE): Header => ({
  ...callOf(serial),
  type: MessageType.STREAM,
  status,
});

/** Streams whose connection writes down what it is asked for, at a time that the test sets. */
function given(): { streams: ClientStreams; asked: string[]; time: { now: number } } {
  const asked: string[] = [];
  const time = { now: 100 };
  const streams = new ClientStreams({
    send(bytes, lasting) {
      const header = emptyHeader();
      readHeader(bytes, 0, header);
      asked.push(
        `${header.serial}: type ${header.type}, status ${header.status}${lasting ? "" : ", copied"}`,
      );
    },
    pumpLater: () => void asked.push("pump"),
    resumeLater: () => void asked.push("resume"),
    clock: () => time.now,
  });
  return { streams, asked, time };
}

/** A volume of so many bytes that goes in one packet. */
function played(length: number): Download & { closed: number } {
  const pieces = [{ kind: "data", length }, { kind: "end" }] as const;
  let next = 0;
  return {
    closed: 0,
    next: () => pieces[next++] ?? { kind: "wait" },
    ready: () => {},
    close() {
      this.closed++;
    },
  };
}

Deno.test("a serial has one stream, and a connection sixteen", () => {
  const { streams } = given();
  streams.beginUpload(callOf(1), new PlayedUpload());
  assert.equal(
    streams.refusal(1)?.message,
    "There is a stream with the serial 1 on this connection already",
  );
  for (let serial = 2; serial <= 16; serial++) {
    assert.equal(streams.refusal(serial), undefined);
    streams.beginDownload(callOf(serial), played(1));
  }
  assert.equal(streams.size, 16);
  assert.equal(streams.refusal(17)?.message, "There are 16 streams on this connection already");
});

Deno.test("what is sent on a stream goes to its volume, and nowhere when there is none", () => {
  const { streams, asked, time } = given();
  const upload = new PlayedUpload();
  streams.beginUpload(callOf(1), upload);
  assert.deepEqual(streams.packet(packetOf(1)), { kind: "stream" });
  assert.deepEqual(streams.packet(packetOf(2)), { kind: "drop" });
  assert.equal(streams.data(1, new Uint8Array([5, 6]), 120), 2);
  assert.equal(streams.idle(125), 5);
  assert.equal(streams.data(2, new Uint8Array([7]), 130), 1);
  time.now = 140;
  streams.end(packetOf(1, MessageStatus.OK));
  upload.end?.({ kind: "done", value: undefined });
  assert.deepEqual([upload.taken, upload.heard], [[5, 6], ["finish"]]);
  assert.deepEqual(asked, ["1: type 3, status 0", "resume"]);
  assert.deepEqual([streams.size, streams.idle(150)], [0, 0]);
});

Deno.test("behind a hole that a volume cannot take yet the stream waits, and no other", () => {
  const { streams, asked } = given();
  const upload = new PlayedUpload();
  upload.room = 0;
  streams.beginUpload(callOf(1), upload);
  streams.beginUpload(callOf(2), new PlayedUpload());
  const writer = new XdrWriter();
  writer.i64(512n);
  writer.u32(0);
  streams.hole(1, new XdrReader(writer.bytes));
  assert.deepEqual(streams.packet(packetOf(1)), { kind: "wait" });
  assert.deepEqual(streams.holePacket(packetOf(1)), { kind: "wait" });
  assert.deepEqual(streams.holePacket(packetOf(2)), { kind: "keep", limit: 64 });
  upload.room = 1;
  upload.ready();
  assert.deepEqual([upload.heard, asked], [["hole 512"], ["resume"]]);
  assert.deepEqual(streams.packet(packetOf(1)), { kind: "stream" });
});

Deno.test("of each download one packet goes at a time, until the client has to read first", () => {
  const { streams, asked, time } = given();
  streams.beginDownload(callOf(1), played(3));
  streams.beginDownload(callOf(2), played(3));
  assert.equal(streams.sending, true);
  asked.length = 0;
  streams.pump(() => asked.length > 0);
  assert.deepEqual(asked, ["1: type 3, status 2, copied"]);
  streams.pump(() => false);
  assert.deepEqual(asked.slice(1), ["1: type 3, status 2", "2: type 3, status 2, copied"]);
  time.now = 200;
  streams.read();
  assert.equal(streams.idle(205), 5);
});

Deno.test("with the connection all its streams end, and what begins later is given up", () => {
  const { streams, asked } = given();
  const upload = new PlayedUpload();
  const late = new PlayedUpload();
  const download = played(3);
  const lateDownload = played(3);
  streams.beginUpload(callOf(1), upload);
  streams.beginDownload(callOf(2), download);
  asked.length = 0;
  streams.abandon();
  streams.beginUpload(callOf(3), late);
  streams.beginDownload(callOf(4), lateDownload);
  assert.deepEqual([upload.heard, late.heard], [["abort"], ["abort"]]);
  assert.deepEqual([download.closed, lateDownload.closed], [1, 1]);
  assert.deepEqual([streams.size, streams.sending, asked], [0, false, []]);
});
