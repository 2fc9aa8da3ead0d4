import assert from "node:assert/strict";
import { JournalState } from "../../../../src/lockd/journal/journal_state.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { bytesOf } from "../../chassis/journal/recording_memory.ts";
import { grant, holding, owner } from "./journal_fixture.ts";

function stateOf(...operations: Operation[]): JournalState {
  const state = new JournalState();
  for (const operation of operations) state.apply(operation);
  return state;
}

/** Pids of the owners of a resource. */
function owners(state: JournalState, id: number): number[] | undefined {
  return state.locks.get(id)?.record.holdings.map((entry) => entry.owner.pid);
}

const client: Operation = { op: "client", key: 2, pid: 7, uid: 0, gid: 0, since: 5 };

Deno.test("JournalState.apply() adds and takes off owners, one holding at a time", () => {
  const state = stateOf(grant(1, 7), { op: "share", id: 1, holding: holding(8) }, {
    op: "share",
    id: 1,
    holding: holding(7),
  });
  assert.deepEqual(owners(state, 1), [7, 8, 7]);
  state.apply({ op: "release", id: 1, pid: 7, last: false });
  assert.deepEqual(owners(state, 1), [8, 7]);
  state.apply({ op: "release", id: 1, pid: 8, last: true });
  assert.equal(owners(state, 1), undefined);
});

Deno.test("JournalState.apply() does not change the operation that it was given", () => {
  const operation = grant(1, 7);
  stateOf(operation, { op: "share", id: 1, holding: holding(8) });
  assert.deepEqual(operation, grant(1, 7));
});

Deno.test("JournalState.apply() keeps who a client speaks for until it goes", () => {
  const state = stateOf(client, { op: "owner", key: 2, owner: owner(9) }, { op: "restricted", key: 2 });
  assert.deepEqual(state.clients.get(2), {
    key: 2,
    pid: 7,
    uid: 0,
    gid: 0,
    since: 5,
    owner: owner(9),
    restricted: true,
  });
  state.apply({ op: "gone", key: 2 });
  assert.equal(state.clients.size, 0);
});

Deno.test("JournalState.apply() keeps bytes of a client that is recorded after them", () => {
  const state = stateOf({ op: "input", key: 2, bytes: bytesOf(1), dropped: 0, turn: 3 }, client);
  assert.deepEqual(state.bytes.inputs.get(2), { bytes: new Uint8Array([1]), dropped: 0 });
});

Deno.test("JournalState.apply() adds received bytes to those before", () => {
  const state = stateOf({ op: "input", key: 2, bytes: bytesOf(1), dropped: 0, turn: 3 }, {
    op: "added",
    key: 2,
    bytes: bytesOf(2, 3),
    dropped: 4,
    turn: 6,
  });
  assert.deepEqual(state.bytes.inputs.get(2), { bytes: new Uint8Array([1, 2, 3]), dropped: 4 });
  assert.equal(state.bytes.closedTurn, 6);
});

Deno.test("JournalState.apply() keeps a dying holder until it is settled", () => {
  const state = stateOf({ op: "dying", pid: 7, key: 7, since: 3, killed: false });
  state.apply({ op: "dying", pid: 7, key: 7, since: 3, killed: true });
  assert.deepEqual(state.dying.get(7), { key: 7, since: 3, killed: true });
  state.apply({ op: "settled", pid: 7 });
  assert.equal(state.dying.size, 0);
});

Deno.test("JournalState.apply() remembers why a lock is in doubt", () => {
  const state = stateOf(grant(1), { op: "doubtful", id: 1, reason: "Unable to release" });
  assert.deepEqual(state.locks.get(1)?.record.state, { kind: "doubtful", reason: "Unable to release" });
});

Deno.test("JournalState.apply() begins a snapshot with what the exchange has done by then", () => {
  const state = stateOf(
    { op: "snapshot", turn: 4, reply: 5, nextResource: 6, nextClient: [7, 8] },
    { op: "carried", state: { limits: [] } },
    { op: "lockspace", path: "/leases" },
  );
  assert.deepEqual([state.bytes.closedTurn, state.bytes.done, state.nextResource, state.nextClient], [
    4,
    5,
    6,
    [7, 8],
  ]);
  assert.deepEqual([...state.lockspaces], ["/leases"]);
  assert.deepEqual(state.carried, { limits: [] });
});
