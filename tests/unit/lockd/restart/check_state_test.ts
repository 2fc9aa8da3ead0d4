import assert from "node:assert/strict";
import { checkState } from "../../../../src/lockd/restart/check_state.ts";
import { writeState } from "../../../../src/lockd/restart/write_state.ts";
import { bytesOf, edited, example, exampleBytes, fullState } from "./documents.ts";

Deno.test("checkState() counts clients of both servers and locks of all lockspaces", () => {
  assert.deepEqual(checkState(exampleBytes()), { clients: 3, locks: 4 });
  assert.deepEqual(checkState(writeState(fullState()), 4242), { clients: 3, locks: 3 });
});

Deno.test("checkState() refuses the state of another process when it is told which one it is for", () => {
  assert.throws(() => checkState(exampleBytes(), 24045), {
    name: "RestartStateError",
    message: 'magic: expected "24045", got "24044"',
    path: "magic",
  });
});

Deno.test("checkState() refuses what could not be taken over", () => {
  const path = "daemon.servers.virtlockd.clients[0].sock.fd";
  assert.throws(() => checkState(bytesOf(edited(example(), path, "x"))), {
    message: `${path}: expected a descriptor number, got "x"`,
  });
});
