import assert from "node:assert/strict";
import { EAGAIN, EIO } from "../../../../src/os/errno.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { ChildOutput } from "../../../../src/chassis/children/child_output.ts";

/** An output into which these pieces are written; a number is what read() fails with in between. */
function given(pieces: (string | number)[], most: number): { output: ChildOutput; told: string[] } {
  const told: string[] = [];
  const read = (_fd: number, into: Uint8Array) => {
    const piece = pieces[0];
    if (piece === undefined || typeof piece === "number") {
      pieces.shift();
      return -(piece ?? 0);
    }
    const bytes = encodeText(piece).subarray(0, into.length);
    into.set(bytes);
    pieces[0] = piece.slice(bytes.length);
    if (pieces[0] === "") pieces.shift();
    return bytes.length;
  };
  return { output: new ChildOutput({ read }, 7, most, (text) => void told.push(text)), told };
}

Deno.test("what a child writes is told as it comes, and kept until it closes its end", () => {
  const { output, told } = given(["one ", EAGAIN, "two"], 100);
  assert.equal(output.read(), true);
  assert.deepEqual([output.text, told], ["one ", ["one "]]);
  assert.equal(output.read(), false);
  assert.deepEqual([output.text, told, output.full], ["one two", ["one ", "two"], false]);
});

Deno.test("no more is read than is kept, and that grows with what comes", () => {
  const { output } = given(["x".repeat(20_000)], 10_000);
  assert.equal(output.read(), false);
  assert.deepEqual([output.full, output.text], [true, "x".repeat(10_000)]);
});

Deno.test("an output that cannot be read is over", () => {
  const { output } = given(["one", EIO, "two"], 100);
  assert.equal(output.read(), false);
  assert.equal(output.text, "one");
});
