import assert from "node:assert/strict";
import { TXN_REQUEST } from "../../../../src/etcd/link/etcd_messages.ts";
import { decodeMessage } from "../../../../src/etcd/link/protobuf.ts";
import { decodeToLink } from "../../../../src/etcd/wire/decode_to_link.ts";
import { decodeFromLink, encodeLine } from "../../../../src/etcd/wire/link_messages.ts";
import { decodeHolder } from "../../../../src/lockd/cluster/keys/lock_holder.ts";
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
    failure: [{ op: "get", key: "g" }, { op: "list", prefix: "p/", after: "p/a", limit: 5 }, {
      op: "list",
      prefix: "p/",
      upTo: "p/b",
      limit: 6,
    }, { op: "count", prefix: "c/" }],
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
    { ...none, range: { key: "g", rangeEnd: "", limit: 0, countOnly: false } },
    { ...none, range: { key: "p/a\0", rangeEnd: "p0", limit: 5, countOnly: false } },
    { ...none, range: { key: "p/", rangeEnd: "p/b\0", limit: 6, countOnly: false } },
    { ...none, range: { key: "c/", rangeEnd: "c0", limit: 0, countOnly: true } },
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

Deno.test("a count is read where keys were only counted", () => {
  // Header: cluster id 1, revision 5. Succeeded. A range without a key, of 40,000.
  const bytes = Uint8Array.fromHex("0a04" + "0801" + "1805" + "1001" + "1a06" + "0a04" + "20c0b802");
  assert.deepEqual(decodeTransactionResult(bytes).results, [{ found: [], more: false, count: 40_000 }]);
});

Deno.test("an answer without a header is none", () => {
  assert.throws(() => decodeTransactionResult(new Uint8Array(0)), RangeError);
});

Deno.test("the end of a list is the first key behind its prefix", () => {
  assert.equal(behind("/a/"), "/a0");
  assert.throws(() => behind(""), RangeError);
  assert.throws(() => behind("ü"), RangeError);
});

Deno.test("what is no text goes through the link as what it is: it is compared, deleted and listed behind as that", () => {
  // Header; succeeded; one range with the key ff, changed at 3, whose value is 22 ff 22.
  const bytes = Uint8Array.fromHex(
    "0a04" + "0801" + "1805" + "1001" + "1a0e" + "0a0c" + "120a" + "0a01ff" + "1803" + "2a0322ff22",
  );
  const answer = { kind: "transaction", result: decodeTransactionResult(bytes) } as const;
  const line = encodeLine({ kind: "answer", id: 1, answer });
  const message = decodeFromLink(new TextDecoder().decode(new TextEncoder().encode(line)));
  assert.deepEqual(message, { kind: "answer", id: 1, answer });
  const [{ found: [entry] } = { found: [] }] = answer.result.results;
  const { key, value } = entry ?? assert.fail("nothing was found");
  assert.throws(() => decodeHolder({ key: "k", value }), /^RecordError: k holds bytes that are no text \(/);
  const asked = encodeLine({
    kind: "ask",
    id: 2,
    limitMs: 1,
    question: {
      kind: "transaction",
      transaction: {
        compare: [{ kind: "value", key, value }],
        success: [{ op: "delete", key }],
        failure: [{ op: "list", prefix: "p/", after: `p/${key}`, limit: 5 }],
      },
    },
  });
  const read = decodeToLink(new TextDecoder().decode(new TextEncoder().encode(asked)));
  assert.ok(read?.kind === "ask" && read.question.kind === "transaction");
  const written = encodeTransaction(read.question.transaction).toHex();
  for (const part of ["1a01ff" + "3a0322ff22", "0a01ff", "0a04702fff00"]) {
    assert.ok(written.includes(part), written);
  }
});
