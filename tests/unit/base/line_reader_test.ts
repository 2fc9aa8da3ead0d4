import assert from "node:assert/strict";
import { LineReader } from "../../../src/base/line_reader.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function texts(lines: readonly Uint8Array[] | undefined): string[] | undefined {
  return lines?.map((line) => new TextDecoder().decode(line));
}

Deno.test("lines are the same wherever what comes is split, also within a character", () => {
  const whole = bytes("one\n\nzwölf\nthe rest");
  for (let first = 0; first <= whole.length; first++) {
    for (let second = first; second <= whole.length; second++) {
      const reader = new LineReader(100);
      const lines = [whole.slice(0, first), whole.slice(first, second), whole.slice(second)].flatMap((
        piece,
      ) => texts(reader.read(piece)) ?? assert.fail("a line was too long"));
      assert.deepEqual(lines, ["one", "", "zwölf"]);
      assert.deepEqual(texts(reader.read(bytes(" of it\n"))), ["the rest of it"]);
    }
  }
});

Deno.test("a line of which more comes than a line has is none, whether its end comes or not", () => {
  const reader = new LineReader(4);
  assert.deepEqual(texts(reader.read(bytes("1234\n123"))), ["1234"]);
  assert.deepEqual(texts(reader.read(bytes("4"))), []);
  assert.equal(reader.read(bytes("5")), undefined);
  assert.equal(new LineReader(4).read(bytes("12345\n")), undefined);
});

Deno.test("the beginning of a line is forgotten with the link that has sent it", () => {
  const reader = new LineReader(100);
  assert.deepEqual(reader.read(bytes("half")), []);
  reader.clear();
  assert.deepEqual(texts(reader.read(bytes("new\n"))), ["new"]);
});
