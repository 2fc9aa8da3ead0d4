import assert from "node:assert/strict";
import { RpcFailure } from "../../../../src/chassis/wire/rpc_error.ts";
import {
  batchOf,
  batchPiece,
  encodePieces,
  failureFields,
  failureOf,
  type FromHelper,
  PieceReader,
} from "../../../../src/storaged/work/work_message.ts";

/** A message that has gone through its pieces. */
function carried(message: FromHelper): FromHelper | undefined {
  const reader = new PieceReader<FromHelper>();
  const pieces = encodePieces(message);
  for (const piece of pieces.slice(0, -1)) assert.equal(reader.add(piece), undefined);
  return reader.add(pieces.at(-1) as Uint8Array);
}

Deno.test("a message comes out as it went in, bigints too", () => {
  const message: FromHelper = { kind: "done", id: 7, result: { size: 2n ** 63n, list: [1, "two", null] } };
  assert.deepEqual(carried(message), message);
});

Deno.test("a long message goes in pieces of 65536 bytes", () => {
  const message: FromHelper = { kind: "done", id: 7, result: "x".repeat(150_000) };
  assert.deepEqual(encodePieces(message).map((piece) => [piece[0], piece.length]), [
    [1, 65536],
    [1, 65536],
    [0, 18965],
  ]);
  assert.deepEqual(carried(message), message);
});

Deno.test("one reader takes one message after the other", () => {
  const reader = new PieceReader<FromHelper>();
  const [first] = encodePieces({ kind: "cancelled", id: 1 });
  const [second] = encodePieces({ kind: "cancelled", id: 2 });
  assert.deepEqual(reader.add(first as Uint8Array), { kind: "cancelled", id: 1 });
  assert.deepEqual(reader.add(second as Uint8Array), { kind: "cancelled", id: 2 });
});

Deno.test("a failure is the same on the other side", () => {
  const failure = new RpcFailure(38, 18, "cannot open '/x': No such file", "%s", "cannot open", 2, -1);
  const again = failureOf(failureFields(failure));
  assert.deepEqual(failureFields(again), {
    code: 38,
    domain: 18,
    message: "cannot open '/x': No such file",
    str1: "%s",
    str2: "cannot open",
    int1: 2,
    int2: -1,
  });
});

Deno.test("a batch goes in a piece of its own, and comes out as bytes of its own", () => {
  const piece = batchPiece(new Uint8Array([1, 2, 3]));
  const batch = batchOf(piece);
  piece.fill(9);
  assert.deepEqual(batch, new Uint8Array([1, 2, 3]));
  const [document] = encodePieces({ kind: "cancelled", id: 1 });
  assert.equal(batchOf(document as Uint8Array), undefined);
});
