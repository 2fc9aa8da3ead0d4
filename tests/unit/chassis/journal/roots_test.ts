import assert from "node:assert/strict";
import { readRoot, type Root, writeRoot } from "../../../../src/chassis/journal/roots.ts";
import { RecordingMemory } from "./recording_memory.ts";

const FIRST: Root = { generation: 1, base: 2048, snapshot: 64 };
const SECOND: Root = { generation: 2, base: 3072, snapshot: 128 };

function memoryWith(...roots: Root[]): RecordingMemory {
  const memory = new RecordingMemory();
  memory.reserve(4096);
  for (const root of roots) writeRoot(memory, root);
  return memory;
}

Deno.test("readRoot() finds nothing in memory that was never written", () => {
  assert.equal(readRoot(new Uint8Array(4096), 4096), undefined);
});

Deno.test("readRoot() reads what writeRoot() wrote", () => {
  assert.deepEqual(readRoot(memoryWith(FIRST).bytes, 4096), FIRST);
});

Deno.test("readRoot() prefers the higher generation", () => {
  assert.deepEqual(readRoot(memoryWith(FIRST, SECOND).bytes, 4096), SECOND);
});

Deno.test("writeRoot() that is killed after any of its writes leaves the old or the new root", () => {
  const memory = memoryWith(FIRST, SECOND);
  const third: Root = { generation: 3, base: 2048, snapshot: 32 };
  memory.recording = true;
  writeRoot(memory, third);
  const found = memory.steps.map((bytes) => readRoot(bytes, 4096)?.generation);
  assert.deepEqual(found, [2, 2, 2, 2, 3]);
});

Deno.test("readRoot() falls back to the older root when the newer one is damaged", () => {
  const memory = memoryWith(FIRST, SECOND);
  memory.bytes[512 + 9] = 0xff;
  assert.deepEqual(readRoot(memory.bytes, 4096), FIRST);
});

Deno.test("readRoot() does not believe in a snapshot behind the end of the memory", () => {
  assert.equal(readRoot(memoryWith({ generation: 1, base: 4090, snapshot: 64 }).bytes, 4096), undefined);
});
