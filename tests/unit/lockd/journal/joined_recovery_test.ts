import assert from "node:assert/strict";
import { joinRecovered, leaveOut } from "../../../../src/lockd/journal/joined_recovery.ts";
import { JournalState } from "../../../../src/lockd/journal/journal_state.ts";
import type { Recovered } from "../../../../src/lockd/journal/recovered.ts";
import { grant, holding, journaled, owner } from "./journal_fixture.ts";
import { handedDescriptor } from "../../../../src/lockd/lockspace/lock_record.ts";

const NOTHING: Recovered = {
  lockspaces: [],
  locks: [],
  clients: [],
  dying: [],
  watched: [],
  parked: [],
  gone: [],
  unwanted: [],
  slots: [],
  nextResource: 1,
  nextClient: [1, 1],
  findings: [],
};

function lock(id: number, pid: number): Recovered["locks"][number] {
  const { record, lock } = journaled(id, { holdings: [holding(pid)] });
  return { record, handle: { kind: "file", fd: 100 + id, lock } };
}

Deno.test("leaveOut() drops what is there already, and whoever is dead", () => {
  const state = new JournalState();
  for (const operation of [grant(1, 7), grant(2, 8), grant(3, 9)]) state.apply(operation);
  state.apply({ op: "share", id: 3, holding: { owner: owner(10), since: 1 } });
  for (const [key, pid] of [[2, 7], [4, 8], [6, 9], [8, 10]] as const) {
    state.apply({ op: "client", key, pid, uid: 0, gid: 0, since: 1 });
    state.apply({ op: "owner", key, owner: owner(pid) });
  }
  state.apply({ op: "client", key: 10, pid: 11, uid: 0, gid: 0, since: 1 });
  for (const pid of [7, 12]) state.apply({ op: "dying", pid, key: pid, since: 1, killed: true });
  const first = { ...NOTHING, locks: [lock(1, 7)], watched: [{ key: 7, pid: 7, pidfd: 5, start: 1007 }] };
  leaveOut(state, first, ({ pid }) => pid !== 8 && pid !== 10);
  assert.deepEqual([...state.locks.keys()], [3]);
  assert.deepEqual(state.locks.get(3)?.record.holdings.map(({ owner }) => owner.pid), [9]);
  assert.deepEqual([...state.clients.keys()], [6]);
  assert.deepEqual([...state.dying.keys()], [12]);
});

Deno.test("joinRecovered() numbers the second one's locks anew, and ends nobody who owns locks in the first", () => {
  const first = {
    ...NOTHING,
    lockspaces: ["/leases"],
    locks: [lock(1, 7), lock(5, 8)],
    gone: [{ key: 20, pid: 20 }],
    nextResource: 6,
    nextClient: [4, 9],
  };
  const second = {
    ...NOTHING,
    lockspaces: ["/leases", "/more"],
    locks: [lock(1, 9), lock(2, 9)],
    watched: [{ key: 9, pid: 9, pidfd: 3, start: 1 }],
    gone: [{ key: 8, pid: 8 }, { key: 21, pid: 21 }],
    nextResource: 3,
    nextClient: [7, 2],
    findings: [{ level: "warn", message: "taken again" }],
  } satisfies Recovered;
  const joined = joinRecovered(first, second);
  assert.deepEqual(joined.locks.map(({ record, handle }) => [record.id, handedDescriptor(handle)]), [
    [1, 101],
    [5, 105],
    [6, 101],
    [7, 102],
  ]);
  assert.deepEqual(joined.lockspaces, ["/leases", "/more"]);
  assert.deepEqual([joined.nextResource, joined.nextClient], [8, [7, 9]]);
  assert.deepEqual(joined.gone.map(({ key }) => key), [20, 21]);
  assert.deepEqual([joined.watched.length, joined.findings.length], [1, 1]);
});
