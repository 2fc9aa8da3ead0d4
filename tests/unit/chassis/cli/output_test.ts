import assert from "node:assert/strict";
import { DescriptorOutput, OutputClosed } from "../../../../src/chassis/cli/output.ts";
import { SystemError } from "../../../../src/os/system_error.ts";

/** An output whose writes have these results, one after the other; positive ones take so many bytes. */
function played(...results: number[]): { output: DescriptorOutput; written: () => string; pauses: number[] } {
  const bytes: number[] = [];
  const pauses: number[] = [];
  const sys = {
    write(_fd: number, chunk: Uint8Array): number {
      const result = Math.min(results.shift() ?? chunk.length, chunk.length);
      if (result > 0) bytes.push(...chunk.subarray(0, result));
      return result;
    },
    pollReadable(_fd: number, timeout: number): number {
      pauses.push(timeout);
      return 0;
    },
  };
  return {
    output: new DescriptorOutput(sys, 1),
    written: () => new TextDecoder().decode(new Uint8Array(bytes)),
    pauses,
  };
}

Deno.test("DescriptorOutput write() goes on after a short write and a full pipe", () => {
  const { output, written, pauses } = played(2, -11, 1);
  output.write("äbcdef");
  assert.equal(written(), "äbcdef");
  assert.deepEqual(pauses, [10]);
});

Deno.test("DescriptorOutput write() throws OutputClosed when nobody reads", () => {
  assert.throws(() => played(-32).output.write("x"), OutputClosed);
});

Deno.test("DescriptorOutput write() throws SystemError for a full disk", () => {
  assert.throws(
    () => played(1, -28).output.write("xy"),
    (error) =>
      error instanceof SystemError &&
      error.message === "write standard output: No space left on device (ENOSPC)",
  );
});

Deno.test("DescriptorOutput write() writes a name that is not UTF-8 as its bytes", () => {
  const bytes: number[] = [];
  const sys = {
    write: (_fd: number, chunk: Uint8Array) => bytes.push(...chunk),
    pollReadable: () => 0,
  };
  new DescriptorOutput(sys, 1).write("a\udcff");
  assert.deepEqual(bytes, [0x61, 0xff]);
});
