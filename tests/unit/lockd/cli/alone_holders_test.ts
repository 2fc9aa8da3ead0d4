import assert from "node:assert/strict";
import { aloneHolders } from "../../../../src/lockd/cli/alone_holders.ts";
import type { ClientEntry } from "../../../../src/lockd/status/status_document.ts";
import { lock, UUID } from "./cli_fixture.ts";

function client(pid: number, locks: number): ClientEntry {
  return {
    server: "virtlockd",
    id: pid,
    connected: 0,
    pid,
    uid: 0,
    gid: 0,
    owner: { domain: `guest${pid}`, uuid: UUID, id: 1, pid },
    restricted: false,
    locks,
  };
}

Deno.test("aloneHolders() finds those for whom only others are connected, each once", () => {
  // The owner of lock N is process 40 + N. For 42 libvirtd has a connection that frees nothing when it ends.
  const locks = [lock({ id: 1 }), lock({ id: 2 }), { ...lock({ id: 2 }), path: "/ls/other" }];
  const found = aloneHolders(locks, [client(41, 1), client(42, 0)]);
  assert.deepEqual(found.map(({ holder, paths }) => [holder.domain, paths]), [
    ["guest2", ["/ls/r2", "/ls/other"]],
  ]);
  assert.deepEqual(aloneHolders(locks, [client(41, 1), client(42, 2)]), []);
});
