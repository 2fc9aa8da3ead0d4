import assert from "node:assert/strict";
import { StoreRoom } from "../../../../src/lockd/store/store_room.ts";
import { KeptLog } from "../journal/kept_log.ts";

/** Room for so many descriptors, with names that are kept already. */
function roomFor(limit: number, ...names: string[]): { room: StoreRoom; log: KeptLog } {
  const log = new KeptLog();
  const room = new StoreRoom(log, limit);
  for (const name of names) room.keep(name);
  return { room, log };
}

Deno.test("StoreRoom counts a queue as two descriptors, and each name once", () => {
  const { room } = roomFor(10, "lock-1", "queue-7-0", "lock-1", "queue-7-0");
  assert.deepEqual([room.used, [...room.names]], [3, ["lock-1", "queue-7-0"]]);
  assert.deepEqual(["lock-1", "lock-1", "queue-7-0"].map((name) => room.forget(name)), [true, false, true]);
  assert.deepEqual([room.used, room.has("lock-1")], [0, false]);
});

Deno.test("StoreRoom.least is the fewest since it was noted, not what came back since", () => {
  const { room } = roomFor(10, "lock-1", "queue-7-0");
  room.noteLeast();
  room.keep("lock-2");
  assert.equal(room.least, 3);
  room.forget("queue-7-0");
  room.keep("queue-7-1");
  assert.deepEqual([room.used, room.least], [4, 2]);
  room.noteLeast();
  assert.equal(room.least, 4);
  room.clear();
  assert.equal(room.least, 0);
});

Deno.test("StoreRoom.fullFor() has no room over the limit of the manager", () => {
  const { room } = roomFor(3, "lock-1", "lock-2");
  assert.equal(room.fullFor("lock-3", 1), undefined);
  assert.equal(room.fullFor("queue-7-0", 2), "the store is full: it takes 3");
  room.relimit(4);
  assert.deepEqual([room.fullFor("queue-7-0", 2), room.limit], [undefined, 4]);
});

Deno.test("StoreRoom.fullFor() has no room for names that make one environment variable too long", () => {
  const { room } = roomFor(5000);
  // A colon follows each: 1,299 times 100 bytes of 130,000.
  for (let index = 0; index < 1299; index++) room.keep(`${index}`.padStart(99, "x"));
  assert.equal(room.fullFor("y".repeat(99), 1), undefined);
  const full = "the store is full: with 1299 names no daemon could be started any more";
  assert.equal(room.fullFor("y".repeat(100), 1), full);
  // The name of a queue is handed over twice.
  assert.deepEqual([room.fullFor("y".repeat(49), 2), room.fullFor("y".repeat(50), 2)], [undefined, full]);
});

Deno.test("StoreRoom.reserve() leaves room for three tripwires, which then need none", () => {
  const { room } = roomFor(5, "lock-1");
  room.reserve(true);
  assert.deepEqual(
    [room.fullFor("lock-2", 1), room.fullFor("queue-7-0", 2)],
    [undefined, "the store is full: it takes 5"],
  );
  room.keep("lock-2");
  room.keep("tripwire-0");
  room.keep("tripwire-1");
  assert.equal(room.fullFor("lock-3", 1), "the store is full: it takes 5");
  room.forget("tripwire-1");
  room.forget("lock-2");
  assert.equal(room.fullFor("lock-3", 1), undefined);
  room.reserve(false);
  assert.equal(room.fullFor("queue-7-0", 2), undefined);
});

Deno.test("StoreRoom.warn() says once that it is nearly full, and again after there was room", () => {
  const { room, log } = roomFor(10);
  for (let id = 1; id <= 8; id++) room.keep(`lock-${id}`);
  room.warn();
  assert.deepEqual([log.lines, room.tight], [[], false]);
  room.keep("lock-9");
  room.warn();
  room.warn();
  const line =
    "warning: The service manager keeps 9 descriptors and takes 10: raise FileDescriptorStoreMax= of the service, or further locks would not survive a crash";
  assert.deepEqual([log.lines, room.tight], [[line], true]);
  room.forget("lock-9");
  room.warn();
  assert.equal(room.tight, false);
  room.keep("lock-9");
  room.warn();
  assert.deepEqual(log.lines, [line, line]);
});

Deno.test("StoreRoom.clear() has room for everything again", () => {
  const { room } = roomFor(3, "tripwire-0", "queue-7-0");
  room.reserve(true);
  room.clear();
  assert.deepEqual([room.used, [...room.names]], [0, []]);
  // The room for its three tripwires is all that there is.
  assert.equal(room.fullFor("lock-1", 1), "the store is full: it takes 3");
});
