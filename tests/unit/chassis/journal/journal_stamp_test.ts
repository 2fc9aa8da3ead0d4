import assert from "node:assert/strict";
import {
  isOfAnotherBoot,
  readStamp,
  stampOfNow,
  writeStamp,
} from "../../../../src/chassis/journal/journal_stamp.ts";
import { createLog } from "../../../../src/lockd/journal/lock_format.ts";
import { kernel } from "../../../support/kernel.ts";
import { RecordingMemory } from "./recording_memory.ts";

const BOOT = "0123456789abcdef0123456789abcdef";

Deno.test("stampOfNow() names this boot of the host and its time", () => {
  const stamp = stampOfNow(kernel);
  const id = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim().replaceAll("-", "");
  assert.equal(stamp.boot, id);
  assert.ok(stamp.begun > 0 && stamp.begun <= kernel.monotonic());
});

Deno.test("stampOfNow() does without an id that cannot be read", () => {
  assert.equal(stampOfNow({ ...kernel, open: () => -13 }).boot, "");
});

Deno.test("readStamp() gives back what writeStamp() wrote, and nothing of a journal of layout 2", () => {
  const memory = new RecordingMemory();
  createLog(memory);
  assert.deepEqual(readStamp(memory), { boot: "", begun: 0 });
  writeStamp(memory, { boot: BOOT, begun: 1234.5 });
  assert.deepEqual(readStamp(memory), { boot: BOOT, begun: 1234.5 });
  writeStamp(memory, { boot: "", begun: 7 });
  assert.deepEqual(readStamp(memory), { boot: "", begun: 7 });
});

Deno.test("writeStamp() that is killed after any of its writes leaves the old time, the new one or none", () => {
  const memory = new RecordingMemory();
  createLog(memory);
  writeStamp(memory, { boot: BOOT, begun: 1 });
  memory.recording = true;
  writeStamp(memory, { boot: BOOT.replaceAll("0", "f"), begun: 2 });
  for (const bytes of memory.steps) {
    const { begun, boot } = readStamp({ bytes });
    assert.ok(begun === 0 || (begun === 2 && boot === BOOT.replaceAll("0", "f")));
  }
});

Deno.test("isOfAnotherBoot() is only certain when both are known", () => {
  const stamp = (boot: string) => ({ boot, begun: 1 });
  assert.ok(isOfAnotherBoot(stamp(BOOT), stamp(BOOT.replaceAll("0", "f"))));
  assert.ok(!isOfAnotherBoot(stamp(BOOT), stamp(BOOT)));
  assert.ok(!isOfAnotherBoot(stamp(""), stamp(BOOT)));
  assert.ok(!isOfAnotherBoot(stamp(BOOT), stamp("")));
});
