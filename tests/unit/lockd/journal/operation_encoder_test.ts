import assert from "node:assert/strict";
import { OperationDecoder } from "../../../../src/lockd/journal/operation_decoder.ts";
import { OperationEncoder } from "../../../../src/lockd/journal/operation_encoder.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { bytesOf } from "../../chassis/journal/recording_memory.ts";
import { grant, holding, journaled, owner } from "./journal_fixture.ts";

/** What a daemon reads of records that were written one after the other. */
function readBack(records: readonly (readonly Operation[])[], encoder = new OperationEncoder()): Operation[] {
  const decoder = new OperationDecoder();
  return records.flatMap((operations) => {
    const { text, bytes } = encoder.encode(operations);
    return decoder.decode(text, new Uint8Array(bytes.flatMap((piece) => [...piece])));
  });
}

const DOUBTFUL = { kind: "doubtful", reason: "lost" } as const;
const EVERY_OPERATION: readonly Operation[] = [
  { op: "snapshot", turn: 4, reply: 5, nextResource: 6, nextClient: [7, 8] },
  { op: "carried", state: { limits: [1], settings: {}, statistics: null } },
  { op: "lockspace", path: "/leases" },
  { op: "lockspace", path: "" },
  grant(1),
  grant(2, 7, { shared: true, autocreate: false, lock: "posix", state: DOUBTFUL }),
  grant(3, 7, { lockspace: "", name: "/disk", path: "/disk" }),
  grant(4, 7, { path: "/elsewhere", holdings: [holding(7), holding(8), holding(7)] }),
  grant(5, 7, { lockspace: "/unknown", path: "/unknown/r5" }),
  { op: "share", id: 4, holding: holding(9) },
  { op: "release", id: 4, pid: 7, last: false },
  { op: "release", id: 4, pid: 8, last: true },
  grant(6, 7, { regrant: "half-failed" }),
  grant(7, 7, { regrant: "while-paused" }),
  grant(8, 7, { regrant: "parked" }),
  grant(9, 7, { regrant: "leaving" }),
  { op: "parked", lockspace: "", name: "/disk", path: "/disk", owner: owner(7) },
  { op: "parked", lockspace: "/leases", name: "r1", path: "/leases/r1", owner: owner(7), use: holding(8) },
  { op: "unparked", lockspace: "", name: "/disk", owner: owner(7) },
  { op: "doubtful", id: 2, reason: "Unable to release" },
  { op: "client", key: 2, pid: 7, uid: 0, gid: 1, since: 5 },
  { op: "client", key: 3, pid: 7, uid: 0, gid: 1, since: 5, slot: 0 },
  { op: "owner", key: 2, owner: owner(7) },
  { op: "restricted", key: 2 },
  { op: "gone", key: 3 },
  { op: "dying", pid: 7, key: 7, since: 3, killed: false },
  { op: "dying", pid: 7, key: 7, since: 3, killed: true, slot: 2 },
  { op: "dying", pid: 30838, key: "4026532500/7", since: 3, killed: false },
  { op: "settled", pid: 7 },
  { op: "input", key: 2, bytes: bytesOf(1, 2), dropped: 0, turn: 3 },
  { op: "added", key: 2, bytes: bytesOf(), dropped: 9, turn: 3 },
  { op: "output", key: 2, bytes: bytesOf(3), reply: 1, turn: 2, end: 28 },
  { op: "served", key: 2, front: 28, turn: 2, end: 28, reply: 2, bytes: bytesOf(4, 5, 6) },
];

Deno.test("OperationEncoder.encode() loses nothing of any operation", () => {
  assert.deepEqual(readBack([EVERY_OPERATION]), EVERY_OPERATION);
});

Deno.test("OperationEncoder.encode() goes on in the next record of the log", () => {
  assert.deepEqual(readBack(EVERY_OPERATION.map((operation) => [operation])), EVERY_OPERATION);
});

Deno.test("OperationEncoder.encode() leaves out the slot where nothing is stored, and the path where it is the usual one", () => {
  const operations: Operation[] = [
    journaled(1),
    journaled(2, { path: "/elsewhere" }),
    journaled(3, { state: DOUBTFUL }),
  ].map(({ record, lock }) => ({ op: "grant", record, lock }));
  assert.deepEqual(readBack([operations]), operations);
});

Deno.test("OperationEncoder.encode() writes an owner and a lockspace once, and for each lock few bytes more than its name", () => {
  const encoder = new OperationEncoder();
  const { owner: who, since } = holding(7);
  encoder.encode([{ op: "lockspace", path: "/leases" }, { op: "owner", key: 2, owner: who }]);
  const name = "0123456789abcdef".repeat(4);
  const lock = grant(40_000, 7, { name, path: `/leases/${name}`, holdings: [{ owner: who, since }] });
  assert.equal(
    encoder.encode([lock]).text,
    `[[3,40000,0,"${name}",2,[0,1700000000000],40000]]`,
  );
});

Deno.test("OperationEncoder.restart() begins a log in which nothing was written yet", () => {
  const encoder = new OperationEncoder();
  const operations: Operation[] = [{ op: "lockspace", path: "/leases" }, grant(1), grant(2)];
  encoder.encode(operations);
  encoder.restart();
  assert.deepEqual(readBack([operations], encoder), operations);
});
