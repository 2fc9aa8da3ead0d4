import assert from "node:assert/strict";
import { kernel } from "../../support/kernel.ts";

Deno.test("MemorySys maps a memfd that others see", () => {
  const fd = kernel.memfd("test");
  assert.equal(kernel.ftruncate(fd, 8192), 0);
  const [one, two] = [kernel.map(fd, 8192), kernel.map(fd, 8192)];
  assert.ok(typeof one !== "number" && typeof two !== "number");
  one.bytes[5000] = 7;
  assert.equal(two.bytes[5000], 7);
  const read = new Uint8Array(1);
  kernel.pread(fd, read, 5000);
  assert.equal(read[0], 7);
  kernel.close(fd);
  // The mapping lives on.
  two.bytes[5000] = 8;
  assert.equal(one.bytes[5000], 8);
});

Deno.test("MemorySys maps anonymous memory, and tells its address", () => {
  const mapping = kernel.map(-1, 4096);
  assert.ok(typeof mapping !== "number");
  assert.equal(mapping.bytes.length, 4096);
  assert.equal(Number(Deno.UnsafePointer.value(mapping.pointer(16))), mapping.address + 16);
  mapping.bytes[16] = 9;
  const pointer = mapping.pointer(16);
  assert.ok(pointer !== null);
  assert.equal(new Deno.UnsafePointerView(pointer).getUint8(), 9);
});

Deno.test("MemorySys gives -errno for what cannot be mapped", () => {
  assert.equal(kernel.map(1 << 20, 4096), -9);
  assert.equal(kernel.map(-1, 0), -22);
});

Deno.test("MemorySys gives freed memory back, and what is in use stays", () => {
  const mapping = kernel.map(-1, 4096);
  assert.ok(typeof mapping !== "number");
  const bytes = new Uint8Array(1 << 20).fill(7);
  mapping.bytes.fill(9);
  kernel.trimHeap();
  assert.deepEqual([bytes.every((byte) => byte === 7), mapping.bytes.every((byte) => byte === 9)], [
    true,
    true,
  ]);
});
