import assert from "node:assert/strict";
import { tallyLocks } from "../../../../src/lockd/reporting/lock_tally.ts";
import { holding, resource, tableOf } from "../programs/lock_fixture.ts";
import { fileHandle } from "../../../support/file_handle.ts";

Deno.test("tallyLocks() counts locks by lockspace and mode, and their holders once each", () => {
  const tally = tallyLocks(tableOf([
    resource({ id: 1, lockspace: "" }),
    resource({ id: 2, shared: true, holdings: [holding(42), holding(43), holding(42)] }),
    resource({ id: 3, shared: true, handle: fileHandle(9, { lock: "posix" }) }),
    resource({ id: 4, state: { kind: "doubtful", reason: "why" } }),
    resource({ id: 5, lockspace: "/other", state: { kind: "releasing" } }),
  ]));
  assert.deepEqual([...tally.lockspaces], [
    ["", { exclusive: 1, shared: 0 }],
    ["/ls", { exclusive: 1, shared: 2 }],
    ["/other", { exclusive: 1, shared: 0 }],
  ]);
  const { exclusive, shared, doubtful, lost, posix, holders } = tally;
  assert.deepEqual({ exclusive, shared, doubtful, lost, posix, holders }, {
    exclusive: 3,
    shared: 2,
    doubtful: 1,
    lost: 0,
    posix: 1,
    holders: 2,
  });
});

Deno.test("tallyLocks() shows a lockspace without a lock", () => {
  assert.deepEqual([...tallyLocks(tableOf([])).lockspaces], [["", { exclusive: 0, shared: 0 }]]);
});
