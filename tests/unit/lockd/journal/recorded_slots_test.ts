import assert from "node:assert/strict";
import { JournalState } from "../../../../src/lockd/journal/journal_state.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { recordedSlots } from "../../../../src/lockd/journal/recorded_slots.ts";
import { grant } from "./journal_fixture.ts";

Deno.test("recordedSlots() are those of locks, of the clients of each server, and of dying holders", () => {
  const client = { op: "client", pid: 7, uid: 0, gid: 0, since: 5 } as const;
  const operations: Operation[] = [
    grant(3, 7, { slot: 9 }),
    { ...client, key: 2, slot: 0 },
    { ...client, key: 7, slot: 4 },
    { ...client, key: 4 },
    { op: "dying", pid: 50, key: 50, since: 1, killed: false, slot: 2 },
    { op: "dying", pid: 51, key: 51, since: 0, killed: true },
  ];
  const state = new JournalState();
  for (const operation of operations) state.apply(operation);
  assert.deepEqual(recordedSlots(state), [
    { kind: "lock", id: 3, index: 9 },
    { kind: "lock client", id: 2, index: 0 },
    { kind: "admin client", id: 7, index: 4 },
    { kind: "dying holder", id: 50, index: 2 },
  ]);
});
