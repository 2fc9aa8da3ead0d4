import assert from "node:assert/strict";
import {
  CURSOR_MAX,
  decodePage,
  decodePageArgs,
  decodeReleaseArgs,
  encodePage,
  encodePageArgs,
  encodeReleaseArgs,
  NAME_MAX,
  PAGE_MAX,
  RELEASE_FORCE,
  STATUS_MAX_PAYLOAD,
  STATUS_PROGRAM,
  StatusProcedure,
} from "../../../../src/lockd/wire/status_protocol.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";

Deno.test("arguments of a page have these bytes both ways", () => {
  const bytes = [0, 0, 0, 1, 0, 0, 0, 2, 0x61, 0x62, 0, 0, 0, 0, 0, 9];
  const writer = new XdrWriter();
  encodePageArgs(writer, { flags: 1, cursor: "ab", limit: 9 });
  assert.deepEqual([...writer.bytes], bytes);
  assert.deepEqual(decodePageArgs(new XdrReader(writer.bytes)), { flags: 1, cursor: "ab", limit: 9 });
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(() => decodePageArgs(new XdrReader(writer.bytes, 0, end)), XdrError, `cut at ${end}`);
  }
});

Deno.test("a page has these bytes both ways", () => {
  const writer = new XdrWriter();
  encodePage(writer, { json: "[]", next: "" });
  assert.deepEqual([...writer.bytes], [0, 0, 0, 2, 0x5b, 0x5d, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(decodePage(new XdrReader(writer.bytes)), { json: "[]", next: "" });
});

Deno.test("a page and its cursors may be as long as their limits", () => {
  const page = { json: "j".repeat(PAGE_MAX), next: "€".repeat(1365) + "x" };
  const writer = new XdrWriter();
  encodePage(writer, page);
  assert.deepEqual(decodePage(new XdrReader(writer.bytes)), page);
  encodePageArgs(writer.reset(), { flags: 0, cursor: page.next, limit: 0 });
  assert.equal(writer.length <= STATUS_MAX_PAYLOAD, true);
  assert.equal(decodePageArgs(new XdrReader(writer.bytes)).cursor, page.next);
});

Deno.test("encodePage() throws for what the reader would refuse", () => {
  assert.throws(() => encodePage(new XdrWriter(), { json: "j".repeat(PAGE_MAX + 1), next: "" }), {
    name: "XdrError",
    message: "Cannot encode page: more than 8388608 bytes",
  });
  assert.throws(() => encodePage(new XdrWriter(), { json: "", next: "c".repeat(CURSOR_MAX + 1) }), {
    name: "XdrError",
    message: "Cannot encode cursor: more than 4096 bytes",
  });
});

Deno.test("decodePageArgs() throws for a cursor over its limit", () => {
  const writer = new XdrWriter();
  encodePageArgs(writer, { flags: 0, cursor: "c".repeat(CURSOR_MAX + 1), limit: 0 });
  assert.throws(() => decodePageArgs(new XdrReader(writer.bytes)), {
    message: "Cannot decode string: length 4097 is not in 0..4096",
  });
});

Deno.test("RELEASE says which lock, whose, and although who lives", () => {
  const args = { flags: RELEASE_FORCE, lockspace: "/l", resource: "r", uuid: "u", guest: "g" };
  const writer = new XdrWriter();
  encodeReleaseArgs(writer, args);
  assert.equal(
    writer.copy().toHex(),
    "00000001" + "000000022f6c0000" + "0000000172000000" + "0000000175000000" + "0000000167000000",
  );
  assert.deepEqual(decodeReleaseArgs(new XdrReader(writer.bytes)), args);
  const long = "x".repeat(NAME_MAX);
  encodeReleaseArgs(writer.reset(), { flags: 0, lockspace: long, resource: long, uuid: long, guest: long });
  assert.equal(writer.length, STATUS_MAX_PAYLOAD);
  assert.equal(decodeReleaseArgs(new XdrReader(writer.bytes)).guest, long);
});

Deno.test("status program is vlkd with five procedures", () => {
  assert.equal(STATUS_PROGRAM, 0x764c6b64);
  assert.deepEqual(StatusProcedure, {
    GET_STATUS: 1,
    LIST_LOCKS: 2,
    LIST_CLIENTS: 3,
    GET_METRICS: 4,
    RELEASE: 5,
  });
});
