import assert from "node:assert/strict";
import { createLog, passOverLog, readLog } from "../../../../src/lockd/journal/lock_format.ts";
import {
  LOG_START,
  MAGIC_OFFSET,
  READER_OFFSET,
  WRITER_OFFSET,
} from "../../../../src/chassis/journal/layout.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { bytesOf, RecordingMemory } from "../../chassis/journal/recording_memory.ts";
import { grant } from "./journal_fixture.ts";

const SNAPSHOT: Operation = { op: "snapshot", turn: 5, reply: 6, nextResource: 9, nextClient: [3, 4] };
/** Something long. */
const PADDING: Operation = { op: "lockspace", path: "x".repeat(100_000) };

function read(memory: RecordingMemory) {
  const found = readLog(memory);
  if (typeof found === "string") throw new Error(found);
  return found;
}

/** Ids of the resources that a daemon would find. */
function resourcesIn(bytes: Uint8Array): { ids: number[]; damage: string | undefined } {
  const { state, damage } = read(RecordingMemory.of(bytes));
  return { ids: [...state.locks.keys()], damage };
}

Deno.test("LogFile.read() finds in a new journal that there is nothing", () => {
  const memory = new RecordingMemory();
  createLog(memory);
  const { state, damage } = read(memory);
  assert.equal(state.locks.size, 0);
  assert.equal(damage, undefined);
});

Deno.test("LogFile.read() finds what was appended, and goes on behind it", () => {
  const memory = new RecordingMemory();
  createLog(memory).append([grant(1), grant(2)]);
  read(memory).log.append([{ op: "release", id: 1, pid: 7, last: true }]);
  assert.deepEqual(resourcesIn(memory.bytes), { ids: [2], damage: undefined });
});

Deno.test("passOverLog() is followed by a rewrite that leaves the old log or the new one, whenever it is killed", () => {
  const memory = new RecordingMemory();
  createLog(memory).append([grant(1), grant(2)]);
  const log = passOverLog(memory);
  if (typeof log === "string") throw new Error(log);
  memory.recording = true;
  log.rewrite([SNAPSHOT, grant(3)]);
  const found = memory.steps.map((bytes) => resourcesIn(bytes));
  assert.deepEqual(found.map(({ damage }) => damage), found.map(() => undefined));
  const ids = found.map((each) => each.ids.join());
  assert.deepEqual([...new Set(ids)], ["1,2", "3"]);
  assert.equal(ids.lastIndexOf("1,2") < ids.indexOf("3"), true);
  log.append([grant(4)]);
  assert.deepEqual(resourcesIn(memory.bytes), { ids: [3, 4], damage: undefined });
});

Deno.test("passOverLog() says why something is no journal, as readLog() does", () => {
  const memory = new RecordingMemory();
  assert.equal(passOverLog(memory), readLog(memory));
  createLog(memory);
  memory.commitWord(MAGIC_OFFSET, 0);
  assert.equal(passOverLog(memory), "it is no journal");
});

Deno.test("LogFile.create() that is killed after any of its writes leaves no journal, or an empty one", () => {
  const memory = new RecordingMemory();
  memory.reserve(LOG_START + 4096);
  memory.bytes.fill(0x5a, LOG_START);
  memory.recording = true;
  createLog(memory);
  memory.steps.forEach((bytes, step) => {
    const found = readLog(RecordingMemory.of(bytes));
    if (step < memory.steps.length - 1) assert.equal(found, "it is no journal", `step ${step}`);
    else assert.notEqual(typeof found, "string");
  });
});

Deno.test("LogFile.append() that is killed after any of its writes leaves all operations of the record or none", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  log.append([grant(1)]);
  memory.recording = true;
  log.append([grant(2), grant(3)]);
  const last = memory.steps.length - 1;
  memory.steps.forEach((bytes, step) => {
    assert.deepEqual(
      resourcesIn(bytes),
      { ids: step < last ? [1] : [1, 2, 3], damage: undefined },
      `step ${step}`,
    );
  });
});

Deno.test("LogFile.rewrite() that is killed after any of its writes leaves the old state or the new one", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  const ids: number[] = [];
  // Behind the old log, before it, and again.
  for (let round = 0; round < 5; round++) {
    const before = [...ids];
    log.append([grant(round * 10 + 1)]);
    before.push(round * 10 + 1);
    ids.splice(0, ids.length, round * 10 + 2, round * 10 + 3);
    memory.steps.splice(0);
    memory.recording = true;
    log.rewrite([SNAPSHOT, ...ids.map((id) => grant(id))]);
    memory.recording = false;
    const found = memory.steps.map((bytes) => resourcesIn(bytes));
    assert.ok(found.every(({ damage }) => damage === undefined));
    const changed = found.findIndex((state) => state.ids[0] !== before[0]);
    assert.ok(changed > 5, `round ${round} changes at step ${changed}`);
    found.forEach((state, step) =>
      assert.deepEqual(state.ids, step < changed ? before : ids, `step ${step}`)
    );
    log.append([{ op: "release", id: ids.pop() as number, pid: 7, last: true }]);
    assert.deepEqual(resourcesIn(memory.bytes).ids, ids);
  }
});

Deno.test("LogFile.rewrite() leaves a journal that is hardly longer than its snapshot", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 100; count++) log.append([PADDING]);
    log.rewrite([SNAPSHOT, PADDING, grant(1)]);
    assert.ok(memory.size < LOG_START + 100_000 + 300_000, `${memory.size} bytes`);
    assert.deepEqual(resourcesIn(memory.bytes), { ids: [1], damage: undefined });
  }
});

Deno.test("LogFile.overgrown says when the log is a MiB longer than twice its snapshot", () => {
  const log = createLog(new RecordingMemory());
  for (let count = 0; count < 10; count++) log.append([PADDING]);
  assert.equal(log.overgrown, false);
  log.append([PADDING]);
  assert.equal(log.overgrown, true);
  log.rewrite([PADDING]);
  for (let count = 0; count < 11; count++) log.append([PADDING]);
  assert.equal(log.overgrown, false);
});

Deno.test("LogFile.overgrown counts no bytes of a message that is still on its way", () => {
  const log = createLog(new RecordingMemory());
  const added: Operation = { op: "added", key: 2, bytes: new Uint8Array(100_000), dropped: 0, turn: 1 };
  for (let count = 0; count < 50; count++) log.append([added]);
  assert.equal(log.overgrown, false);
  log.append([{ op: "input", key: 2, bytes: new Uint8Array(0), dropped: 0, turn: 2 }]);
  assert.equal(log.overgrown, true);
});

Deno.test("LogFile.overgrown counts what it costs to receive a message in very small pieces", () => {
  const log = createLog(new RecordingMemory());
  for (let turn = 0; turn < 40_000; turn++) {
    log.append([{ op: "added", key: 2, bytes: bytesOf(1), dropped: 0, turn }]);
    if (log.length > 1_200_000) break;
  }
  assert.equal(log.overgrown, true);
});

Deno.test("LogFile.overgrown after a rewrite does not take bytes in flight for locks", () => {
  const log = createLog(new RecordingMemory());
  log.rewrite([{ op: "input", key: 2, bytes: new Uint8Array(5_000_000), dropped: 0, turn: 1 }]);
  log.append([{ op: "gone", key: 2 }]);
  assert.equal(log.overgrown, true);
});

Deno.test("LogFile.read() reports a damaged record and keeps what was before it", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  log.append([grant(1)]);
  const at = LOG_START + log.length;
  log.append([grant(2)]);
  memory.bytes[at + 20] = 0;
  assert.deepEqual(resourcesIn(memory.bytes), {
    ids: [1],
    damage: `the checksum of the record at ${at} is wrong`,
  });
});

Deno.test("LogFile.read() says that later records may be missing until the log is written anew", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  log.append([grant(1)]);
  log.fallBehind();
  assert.deepEqual(resourcesIn(memory.bytes), {
    ids: [1],
    damage: "its daemon could not write to it any more, so later records may be missing",
  });
  log.rewrite([SNAPSHOT, grant(2)]);
  assert.deepEqual(resourcesIn(memory.bytes), { ids: [2], damage: undefined });
});

Deno.test("LogFile.read() says when the damage is in the snapshot", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  log.rewrite([SNAPSHOT, grant(1)]);
  memory.bytes[LOG_START + 8 + 30] = 0xff;
  assert.match(
    resourcesIn(memory.bytes).damage ?? "",
    /it lies in the snapshot, so older records may be missing$/,
  );
});

for (
  const [what, damage, reason] of [
    ["too short", (bytes: Uint8Array) => bytes.subarray(0, 100), /it has 100 bytes, at least \d+ are wanted/],
    ["something else", (bytes: Uint8Array) => bytes.fill(1, MAGIC_OFFSET, 4), /it is no journal/],
    [
      "of another layout",
      (bytes: Uint8Array) => bytes.fill(9, READER_OFFSET, READER_OFFSET + 1),
      /it is of layout 9, for readers of layout 9 or later, .*; this program reads layouts 2 to 3 with \d+ bytes/,
    ],
    [
      "of a layout that was never released",
      (bytes: Uint8Array) => bytes.fill(1, READER_OFFSET, READER_OFFSET + 1),
      /for readers of layout 1 or later/,
    ],
    ["without a root", (bytes: Uint8Array) => bytes.fill(7, 512, 2048), /both of its roots are damaged/],
  ] as const
) {
  Deno.test(`readLog() refuses what is ${what}`, () => {
    const memory = new RecordingMemory();
    createLog(memory);
    const found = readLog(RecordingMemory.of(damage(memory.bytes)));
    assert.match(typeof found === "string" ? found : "it was read", reason);
  });
}

Deno.test("LogFile.read() reads what an older program wrote, and what a newer one says that this one may read", () => {
  for (const [reader, writer] of [[2, 0], [2, 2], [2, 9], [3, 9]] as const) {
    const memory = new RecordingMemory();
    const log = createLog(memory);
    log.append([SNAPSHOT, grant(1)]);
    memory.bytes[READER_OFFSET] = reader;
    memory.bytes[WRITER_OFFSET] = writer;
    const { damage, ids } = resourcesIn(memory.bytes);
    assert.deepEqual({ damage, ids }, { damage: undefined, ids: [1] }, `reader ${reader}, writer ${writer}`);
  }
});

Deno.test("LogFile claim() says that only readers who can skip operations understand what is written", () => {
  const memory = new RecordingMemory();
  const log = createLog(memory);
  memory.bytes[READER_OFFSET] = 2;
  memory.bytes[WRITER_OFFSET] = 0;
  log.claim();
  assert.deepEqual([memory.bytes[READER_OFFSET], memory.bytes[WRITER_OFFSET]], [3, 3]);
});
