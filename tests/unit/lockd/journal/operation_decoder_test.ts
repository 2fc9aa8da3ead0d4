import assert from "node:assert/strict";
import { OperationDecoder } from "../../../../src/lockd/journal/operation_decoder.ts";
import { OperationEncoder } from "../../../../src/lockd/journal/operation_encoder.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { bytesOf } from "../../chassis/journal/recording_memory.ts";
import { grant } from "./journal_fixture.ts";

const NOTHING = new Uint8Array(0);

Deno.test("OperationDecoder.encoder() goes on with the numbers of the log", () => {
  const first = new OperationEncoder();
  const decoder = new OperationDecoder();
  decoder.decode(first.encode([{ op: "lockspace", path: "/leases" }, grant(1, 7)]).text, NOTHING);
  const second: Operation[] = [grant(2, 8), { op: "lockspace", path: "/more" }];
  assert.deepEqual(decoder.decode(decoder.encoder().encode(second).text, NOTHING), second);
});

Deno.test("OperationDecoder.decode() gives copies of the bytes", () => {
  const bytes = bytesOf(1, 2);
  const [operation] = new OperationDecoder().decode("[[14,2,2,0,1]]", bytes);
  bytes.fill(9);
  assert.deepEqual(operation, { op: "input", key: 2, bytes: bytesOf(1, 2), dropped: 0, turn: 1 });
});

for (
  const [what, text, reason] of [
    ["no JSON", "[[", /JSON/],
    ["an unknown operation", "[[99]]", /it has an operation 99, which is not known$/],
    ["an owner that nothing was said of", "[[8,2,0]]", /there is no owner 0$/],
    ["a lockspace that nothing was said of", '[[3,1,0,"r",0,[]]]', /there is no lockspace 0$/],
  ] as const
) {
  Deno.test(`OperationDecoder.decode() refuses ${what}`, () => {
    assert.throws(() => new OperationDecoder().decode(text, NOTHING), {
      name: "SyntaxError",
      message: reason,
    });
  });
}

Deno.test("OperationDecoder skips a later version's operation that is marked so, with its bytes, and no other", () => {
  const decoder = new OperationDecoder();
  const text = '[[-7,2,"later"],[15,4,3,0,1],[13,9,10],[12,9,"a field of a later version"]]';
  assert.deepEqual(decoder.decode(text, new Uint8Array([1, 2, 3, 4, 5])), [
    { op: "added", key: 4, bytes: new Uint8Array([3, 4, 5]), dropped: 0, turn: 1 },
    { op: "settled", pid: 9 },
  ]);
  assert.throws(() => decoder.decode("[[77,1]]", new Uint8Array(0)), SyntaxError);
});
