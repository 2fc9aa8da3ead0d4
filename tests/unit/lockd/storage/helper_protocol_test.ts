import assert from "node:assert/strict";
import { decodeToHelper } from "../../../../src/lockd/storage/helper_decoding.ts";
import {
  encodeMessage,
  MESSAGE_LIMIT,
  type ToHelper,
} from "../../../../src/lockd/storage/helper_protocol.ts";

Deno.test("decodeToHelper() gives back a path with bytes that are no UTF-8", () => {
  const message: ToHelper = {
    kind: "task",
    id: 7,
    task: { op: "remove", path: "/mnt/a\udcff\udc80\n\u20ac\u{1f600}'\"" },
  };
  assert.deepEqual(decodeToHelper(encodeMessage(message)), message);
});

Deno.test("encodeMessage() writes ASCII for a path with bytes that are no UTF-8", () => {
  const bytes = encodeMessage({ kind: "task", id: 1, task: { op: "remove", path: "\udcff" } });
  assert.equal(
    new TextDecoder().decode(bytes),
    '{"kind":"task","id":1,"task":{"op":"remove","path":"\\udcff"}}',
  );
});

Deno.test("encodeMessage() keeps the longest path and record within the limit", () => {
  const request = {
    path: "\udcff".repeat(4095),
    shared: false,
    autocreate: true,
    followLinks: false,
    record: "\udcff".repeat(400),
  };
  const bytes = encodeMessage({ kind: "task", id: Number.MAX_SAFE_INTEGER, task: { op: "lock", request } });
  assert.equal(bytes.length < MESSAGE_LIMIT, true);
});

Deno.test("the spawn message keeps its form, because helpers of older versions must understand it", () => {
  const bytes = encodeMessage({
    kind: "spawn",
    command: { path: "/usr/sbin/virtlockd", argv: ["virtlockd", "x"], env: ["PATH=/bin"] },
  });
  assert.equal(
    new TextDecoder().decode(bytes),
    '{"kind":"spawn","command":{"path":"/usr/sbin/virtlockd","argv":["virtlockd","x"],"env":["PATH=/bin"]}}',
  );
});
