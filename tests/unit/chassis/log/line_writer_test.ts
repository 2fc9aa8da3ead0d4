import assert from "node:assert/strict";
import { LineWriter } from "../../../../src/chassis/log/line_writer.ts";

const EAGAIN = 11;
const ENOSPC = 28;

/**
 * A descriptor that answers each write as told: a number of bytes taken, or -errno. Then it takes everything.
 */
function scripted(answers: number[]): { written: () => string; write: (bytes: Uint8Array) => number } {
  const decoder = new TextDecoder();
  let written = "";
  return {
    written: () => written,
    write(bytes) {
      const answer = answers.shift() ?? bytes.length;
      if (answer > 0) written += decoder.decode(bytes.subarray(0, answer));
      return answer;
    },
  };
}

Deno.test("LineWriter send() goes on after a short write", () => {
  const { write, written } = scripted([2, 1]);
  assert.equal(new LineWriter(write).send("abcdef\n"), 0);
  assert.equal(written(), "abcdef\n");
});

Deno.test("LineWriter send() returns the error when nothing of the line was taken", () => {
  const { write, written } = scripted([-ENOSPC]);
  const lines = new LineWriter(write);
  assert.equal(lines.send("lost\n"), -ENOSPC);
  assert.equal(lines.send("next\n"), 0);
  assert.equal(written(), "next\n");
});

Deno.test("LineWriter send() finishes a cut line before it writes the next", () => {
  const { write, written } = scripted([3, -ENOSPC, -ENOSPC, 2, -EAGAIN]);
  const lines = new LineWriter(write);
  assert.equal(lines.send("first\n"), 0);
  assert.equal(lines.send("second\n"), -ENOSPC);
  assert.equal(lines.send("third\n"), -EAGAIN);
  assert.equal(lines.send("fourth\n"), 0);
  assert.equal(written(), "first\nfourth\n");
});

Deno.test("LineWriter send() treats a write that takes nothing as a full descriptor", () => {
  const { write } = scripted([0]);
  assert.equal(new LineWriter(write).send("x\n"), -EAGAIN);
});

Deno.test("LineWriter reset() forgets the rest of a cut line", () => {
  const { write, written } = scripted([3, -ENOSPC]);
  const lines = new LineWriter(write);
  lines.send("first\n");
  lines.reset();
  lines.send("second\n");
  assert.equal(written(), "firsecond\n");
});
