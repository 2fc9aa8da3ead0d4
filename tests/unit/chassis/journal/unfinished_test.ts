import assert from "node:assert/strict";
import { LOG_START } from "../../../../src/chassis/journal/layout.ts";
import { LogFile } from "../../../../src/chassis/journal/log_file.ts";
import { isUnfinished } from "../../../../src/chassis/journal/unfinished.ts";
import { RecordingMemory } from "./recording_memory.ts";
import { TOY_FORMAT } from "./toy_format.ts";

Deno.test("isUnfinished() is so after each write of a journal's making but the last, and never again", () => {
  const memory = new RecordingMemory();
  memory.recording = true;
  const log = LogFile.create(memory, TOY_FORMAT);
  const made = memory.steps.splice(0);
  assert.ok(made.length > 5);
  assert.deepEqual(
    made.map((bytes) => isUnfinished(RecordingMemory.of(bytes))),
    made.map((_, step) => step < made.length - 1),
  );
  log.append([]);
  log.rewrite([]);
  assert.ok(memory.steps.length > 5);
  assert.deepEqual(memory.steps.filter((bytes) => isUnfinished(RecordingMemory.of(bytes))), []);
});

Deno.test("isUnfinished() is so of the part for which there was room, however small", () => {
  for (const size of [1, 4096, 8192, LOG_START, LOG_START + 4096]) {
    assert.equal(isUnfinished(RecordingMemory.of(new Uint8Array(size))), true, `${size} bytes`);
  }
});

Deno.test("isUnfinished() is not so of what may have said something, also when its first word is gone", () => {
  const memory = new RecordingMemory();
  LogFile.create(memory, TOY_FORMAT).append([]);
  memory.bytes.fill(0, 0, 4096);
  assert.equal(isUnfinished(memory), false);
  assert.equal(isUnfinished(RecordingMemory.of(new TextEncoder().encode("no journal at all"))), false);
  const late = new Uint8Array(LOG_START + 4096);
  late[LOG_START + 4095] = 1;
  assert.equal(isUnfinished(RecordingMemory.of(late)), false);
});
