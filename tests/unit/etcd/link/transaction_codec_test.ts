import assert from "node:assert/strict";
import { TXN_REQUEST } from "../../../../src/etcd/link/etcd_messages.ts";
import { decodeMessage } from "../../../../src/etcd/link/protobuf.ts";
import {
  behind,
  decodeTransactionResult,
  encodeTransaction,
} from "../../../../src/etcd/link/transaction_codec.ts";

Deno.test("each comparison and operation is what etcd reads", () => {
  const bytes = encodeTransaction({
    compare: [
      { kind: "changed-at", key: "k", revision: 7 },
      { kind: "value", key: "v", value: "x" },
      { kind: "none-below", prefix: "s/" },
    ],
    success: [{ op: "put", key: "k", value: "1", lease: "9" }, { op: "delete", key: "d" }],
    failure: [{ op: "get", key: "g" }, { op: "list", prefix: "p/", after: "p/a", limit: 5 }],
  });
  const { compare, success, failure } = decodeMessage(TXN_REQUEST, bytes);
  const nothing = {
    result: 0,
    target: 0,
    key: "",
    createRevision: 0,
    modRevision: 0,
    value: "",
    rangeEnd: "",
  };
  assert.deepEqual(compare, [
    { ...nothing, target: 2, key: "k", modRevision: 7 },
    { ...nothing, target: 3, key: "v", value: "x" },
    { ...nothing, target: 1, key: "s/", rangeEnd: "s0" },
  ]);
  const none = { range: undefined, put: undefined, deleteRange: undefined };
  assert.deepEqual(success, [
    { ...none, put: { key: "k", value: "1", lease: "9" } },
    { ...none, deleteRange: { key: "d" } },
  ]);
  assert.deepEqual(failure, [
    { ...none, range: { key: "g", rangeEnd: "", limit: 0 } },
    { ...none, range: { key: "p/a\0", rangeEnd: "p0", limit: 5 } },
  ]);
});

Deno.test("etcd's answer is read with its numbers", () => {
  // Header: cluster id 2^63+1, revision 5. Succeeded. One range with one key, and one put.
  const bytes = Uint8Array.fromHex(
    "0a0d" + "0881808080808080808001" + "1805" + "1001" + "1a0c" + "0a0a" + "1208" + "0a016b" + "1803" +
      "2a0178" +
      "1a02" + "1200",
  );
  assert.deepEqual(decodeTransactionResult(bytes), {
    succeeded: true,
    results: [
      { found: [{ key: "k", value: "x", changedAt: 3 }], more: false },
      { found: [], more: false },
    ],
    cluster: "9223372036854775809",
    revision: 5,
  });
});

Deno.test("an answer without a header is none", () => {
  assert.throws(() => decodeTransactionResult(new Uint8Array(0)), RangeError);
});

Deno.test("the end of a list is the first key behind its prefix", () => {
  assert.equal(behind("/a/"), "/a0");
  assert.throws(() => behind(""), RangeError);
  assert.throws(() => behind("ü"), RangeError);
});
