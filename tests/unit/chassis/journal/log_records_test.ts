import assert from "node:assert/strict";
import { appendRecord, moveRecords, readRecords } from "../../../../src/chassis/journal/log_records.ts";
import { bytesOf, RecordingMemory } from "./recording_memory.ts";

const GENERATION = 3;

function payload(text: string, ...bytes: Uint8Array[]) {
  return { text, bytes };
}

function logOf(...texts: string[]): { memory: RecordingMemory; ends: number[] } {
  const memory = new RecordingMemory();
  const ends: number[] = [0];
  for (const text of texts) {
    ends.push(appendRecord(memory, ends.at(-1) as number, GENERATION, payload(text)));
  }
  return { memory, ends };
}

function read(bytes: Uint8Array, size = bytes.length, generation = GENERATION) {
  const texts: string[] = [];
  const { end, how } = readRecords(bytes, size, 0, generation, (text) => texts.push(text));
  return { texts, end, how: how.kind };
}

Deno.test("readRecords() reads what appendRecord() wrote, in order", () => {
  const { memory, ends } = logOf("one", "zwölf");
  assert.deepEqual(read(memory.bytes), { texts: ["one", "zwölf"], end: ends[2], how: "clean" });
});

Deno.test("appendRecord() aligns records to 8 bytes", () => {
  assert.deepEqual(logOf("a", "1234", "12345").ends, [0, 16, 32, 56]);
});

Deno.test("readRecords() gives the bytes behind the text", () => {
  const memory = new RecordingMemory();
  appendRecord(memory, 0, GENERATION, payload("zwölf", bytesOf(1, 2), bytesOf(), bytesOf(3)));
  const found: [string, number[]][] = [];
  readRecords(memory.bytes, memory.size, 0, GENERATION, (text, bytes) => found.push([text, [...bytes]]));
  assert.deepEqual(found, [["zwölf", [1, 2, 3]]]);
});

Deno.test("moveRecords() makes records those of another log", () => {
  const { memory, ends } = logOf("junk that gets overwritten", "one", "two");
  const [, from = 0, , end = 0] = ends;
  assert.equal(moveRecords(memory, from, end, 0, GENERATION + 1), end - from);
  assert.deepEqual(read(memory.bytes, 4096, GENERATION + 1), {
    texts: ["one", "two"],
    end: end - from,
    how: "clean",
  });
});

Deno.test("moveRecords() of none leaves an empty log", () => {
  const { memory, ends } = logOf("old");
  assert.equal(moveRecords(memory, ends[1] as number, ends[1] as number, 0, GENERATION), 0);
  assert.deepEqual(read(memory.bytes).texts, []);
});

Deno.test("appendRecord() that is killed after any of its writes leaves the records before, or that one too", () => {
  const { memory, ends } = logOf("first");
  // What an older log has left here.
  memory.bytes.fill(0x41, ends[1]);
  memory.bytes.fill(0, ends[1], (ends[1] as number) + 4);
  memory.recording = true;
  ends.push(appendRecord(memory, ends[1] as number, GENERATION, payload("second")));
  const last = memory.steps.length - 1;
  memory.steps.forEach((bytes, step) => {
    const expected = step < last ? ["first"] : ["first", "second"];
    assert.deepEqual(
      read(bytes),
      { texts: expected, end: ends[step < last ? 1 : 2], how: "clean" },
      `step ${step}`,
    );
  });
});

Deno.test("readRecords() of a log that is cut at any byte finds every record before the cut", () => {
  const { memory, ends } = logOf("alpha", "beta", "gamma");
  const names = ["alpha", "beta", "gamma"];
  for (let size = 0; size <= (ends[3] as number); size++) {
    // Padding is no part of a record.
    const whole = names.filter((name, index) => size >= (ends[index] as number) + 12 + name.length).length;
    assert.deepEqual(read(memory.bytes, size).texts, names.slice(0, whole), `cut at ${size}`);
  }
});

Deno.test("readRecords() notices any changed byte of a record and stops before it", () => {
  const { memory, ends } = logOf("alpha", "beta");
  const second = ends[1] as number;
  for (let at = second; at < second + 12 + "beta".length; at++) {
    for (const bit of [0x01, 0x80]) {
      const bytes = memory.bytes.slice();
      bytes[at] = (bytes[at] as number) ^ bit;
      const { texts, end } = read(bytes);
      assert.deepEqual(texts, ["alpha"], `byte ${at}`);
      assert.equal(end, second);
    }
  }
});

Deno.test("readRecords() says that a damaged log is torn, and where", () => {
  const { memory, ends } = logOf("alpha", "beta");
  memory.bytes[(ends[1] as number) + 12] = 0;
  const { how } = readRecords(memory.bytes, memory.size, 0, GENERATION, () => {});
  assert.deepEqual(how, { kind: "torn", reason: "the checksum of the record at 24 is wrong" });
});

Deno.test("readRecords() takes no record of another log", () => {
  assert.deepEqual(read(logOf("old").memory.bytes, 4096, GENERATION + 1).texts, []);
});
