import assert from "node:assert/strict";
import { clientEntry } from "../../../../src/lockd/status/client_entry.ts";
import { LockSession } from "../../../../src/lockd/programs/lock_program.ts";
import { resource, tableOf, UUID } from "../programs/lock_fixture.ts";
import { peer } from "../programs/program_fixture.ts";

const table = tableOf([resource({ id: 1 }), resource({ id: 2 })]);
const common = {
  server: "virtlockd",
  id: 1,
  connectedMs: 1_795_266_578_207,
  connected: 1_795_266_578_207,
  pid: 42,
  uid: 1000,
  gid: 100,
};

Deno.test("clientEntry() shows who is connected", () => {
  const client = { peer: peer({ pid: 42, security: "label" }), session: () => undefined };
  assert.deepEqual(clientEntry("admin", client, table), { ...common, server: "admin", security: "label" });
});

Deno.test("clientEntry() shows for whom a lock client speaks, and the locks that end with it", () => {
  const from = peer({ pid: 42 });
  const session = new LockSession(from);
  const client = { peer: from, session: (program: number) => program === 0x0ea7beef ? session : undefined };
  assert.deepEqual(clientEntry("virtlockd", client, table), { ...common, restricted: false });
  session.owner = { pid: 42, name: "guest", uuid: UUID, id: 7 };
  session.restricted = true;
  assert.deepEqual(clientEntry("virtlockd", client, table), {
    ...common,
    owner: { domain: "guest", uuid: UUID, id: 7, pid: 42 },
    restricted: true,
    locks: 2,
  });
});

Deno.test("clientEntry() counts no locks of a client that speaks for another process", () => {
  const from = peer({ pid: 41 });
  const session = new LockSession(from);
  session.owner = { pid: 42, name: "guest", uuid: UUID, id: 7 };
  assert.equal(clientEntry("virtlockd", { peer: from, session: () => session }, table).locks, 0);
});
