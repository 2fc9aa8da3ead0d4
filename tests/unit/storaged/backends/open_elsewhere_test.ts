import assert from "node:assert/strict";
import process from "node:process";
import { O_RDONLY, O_RDWR } from "../../../../src/os/constants.ts";
import { writerOf } from "../../../../src/storaged/backends/open_elsewhere.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

Deno.test("writerOf() finds who has a file open for writing, and nobody who only reads it", () => {
  using scratch = new Scratch();
  const path = scratch.write("disk");
  assert.equal(writerOf(kernel, path), undefined);
  const reader = kernel.open(path, O_RDONLY, 0);
  assert.equal(writerOf(kernel, path), undefined);
  const writer = kernel.open(path, O_RDWR, 0);
  assert.equal(writerOf(kernel, path), process.pid);
  kernel.close(writer);
  assert.equal(writerOf(kernel, path), undefined);
  kernel.close(reader);
});
