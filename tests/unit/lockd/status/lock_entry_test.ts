import assert from "node:assert/strict";
import { HELD_BY_ANOTHER } from "../../../../src/lockd/cluster/session/doubts.ts";
import type { LockReach } from "../../../../src/lockd/cluster/cluster_parts.ts";
import type { OwnerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { lockEntry, type LockFacts } from "../../../../src/lockd/status/lock_entry.ts";
import { holding, resource, UUID } from "../programs/lock_fixture.ts";
import { fileHandle } from "../../../support/file_handle.ts";

const NOTHING: LockFacts = {
  dying: () => false,
  settling: () => undefined,
  judge: () => ({ kind: "alive", pid: 42 }),
  stopped: () => false,
  reachOf: () => undefined,
};

Deno.test("lockEntry() shows a lock with its holder", () => {
  assert.deepEqual(lockEntry(resource({ id: 5, autocreate: true }), NOTHING), {
    id: 5,
    lockspace: "/ls",
    resource: "r5",
    path: "/ls/r5",
    file: "08:01:5",
    mode: "exclusive",
    autocreate: true,
    state: "held",
    kind: "ofd",
    holders: [{
      domain: "guest",
      uuid: UUID,
      id: 7,
      pid: 42,
      sinceMs: 1000,
      since: 1000,
      times: 1,
    }],
  });
});

Deno.test("lockEntry() shows an owner that holds a shared lock several times once", () => {
  const entry = lockEntry(
    resource({ id: 1, shared: true, holdings: [holding(42), holding(43), holding(42), holding(42)] }),
    NOTHING,
  );
  assert.equal(entry.mode, "shared");
  assert.deepEqual(entry.holders.map(({ pid, times }) => [pid, times]), [[42, 3], [43, 1]]);
  assert.equal(entry.moreHolders, undefined);
});

Deno.test("lockEntry() says of an owner whose process has ended, or that nobody can judge", () => {
  const lock = resource({ id: 1, shared: true, holdings: [holding(42), holding(43), holding(44)] });
  const kinds = new Map([[42, "alive"], [43, "dead"], [44, "unjudged"]] as const);
  const { holders } = lockEntry(lock, {
    ...NOTHING,
    judge: ({ pid }) => {
      const kind = kinds.get(pid as 42) ?? "alive";
      return kind === "alive" ? { kind, pid } : { kind };
    },
  });
  assert.deepEqual(holders.map(({ pid, process }) => [pid, process]), [
    [42, undefined],
    [43, "ended"],
    [44, "unjudged"],
  ]);
});

Deno.test("lockEntry() says of a guest whose lock is the cluster's that it is stopped", () => {
  const stopped: LockFacts = { ...NOTHING, stopped: (pid: number) => pid === 42 };
  const shown = (reason: string, facts = stopped) =>
    lockEntry(resource({ id: 1, state: { kind: "doubtful", reason } }), facts).holders[0]?.process;
  assert.equal(shown(HELD_BY_ANOTHER), "stopped");
  assert.equal(shown(HELD_BY_ANOTHER, NOTHING), undefined);
  // Of no other lock it is looked.
  assert.equal(shown("Unable to release lock"), undefined);
  assert.equal(lockEntry(resource({ id: 1 }), stopped).holders[0]?.process, undefined);
  const reached = (hosts: LockReach) =>
    lockEntry(resource({ id: 1 }), { ...stopped, reachOf: () => hosts }).holders[0]?.process;
  assert.deepEqual((["cluster", "pending", "local"] as const).map(reached), [
    "stopped",
    "stopped",
    undefined,
  ]);
  const ended = { ...stopped, judge: () => ({ kind: "dead" }) as const };
  assert.equal(shown(HELD_BY_ANOTHER, ended), "ended");
});

Deno.test("lockEntry() says when the holder is being killed", () => {
  const facts = { ...NOTHING, dying: (key: OwnerKey) => key === 43 };
  assert.equal(lockEntry(resource({ id: 1 }), facts).state, "held");
  const shared = resource({ id: 1, shared: true, holdings: [holding(42), holding(43)] });
  assert.equal(lockEntry(shared, facts).state, "holder being killed");
});

Deno.test("lockEntry() says when a lock is being released, or doubtful and why", () => {
  const releasing = lockEntry(resource({ id: 1, state: { kind: "releasing" } }), {
    ...NOTHING,
    dying: () => true,
  });
  assert.equal(releasing.state, "releasing");
  const doubtful = lockEntry(resource({ id: 1, state: { kind: "doubtful", reason: "why" } }), NOTHING);
  assert.deepEqual([doubtful.state, doubtful.reason], ["doubtful", "why"]);
  const lost = { state: { kind: "lost", reason: "why" }, handle: { kind: "none", place: 9 } } as const;
  const entry = lockEntry(resource({ id: 1, ...lost }), NOTHING);
  assert.deepEqual([entry.state, entry.reason, entry.file], ["lost", "why", undefined]);
});

Deno.test("lockEntry() tells a lock inherited from libvirt's daemon", () => {
  assert.equal(
    lockEntry(resource({ id: 1, handle: fileHandle(9, { lock: "posix" }) }), NOTHING).kind,
    "posix",
  );
});

Deno.test("lockEntry() stays small when a lock has thousands of holders with long names", () => {
  const holdings = Array.from({ length: 5000 }, (_, index) => holding(index + 1, "x".repeat(1000)));
  const entry = lockEntry(resource({ id: 1, shared: true, holdings }), NOTHING);
  assert.equal(entry.holders.length, 239);
  assert.equal(entry.moreHolders, 4761);
});

Deno.test("lockEntry() says why a lock stays whose owner is gone", () => {
  const entry = lockEntry(resource({ id: 1 }), { ...NOTHING, settling: () => "it writes" });
  assert.equal(entry.state, "settling");
  assert.equal(entry.reason, "it writes");
});

Deno.test("lockEntry() says on a host of a cluster for which hosts a lock counts", () => {
  const reachOf = (path: string) => path === "/ls/r1" ? "cluster" : "local";
  const hosts = [1, 2].map((id) => lockEntry(resource({ id }), { ...NOTHING, reachOf }).hosts);
  assert.deepEqual(hosts, ["cluster", "local"]);
});
