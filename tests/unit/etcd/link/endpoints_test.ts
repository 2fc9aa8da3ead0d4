import assert from "node:assert/strict";
import { schemeDoubts } from "../../../../src/etcd/link/endpoints.ts";

Deno.test("a member that wants TLS, or has none, is told from one that nobody has started", () => {
  const refused =
    "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ";
  assert.deepEqual(schemeDoubts("http://etcd1:2379", refused), []);
  assert.deepEqual(schemeDoubts("https://etcd1:2379", refused), []);
  assert.deepEqual(schemeDoubts("http://etcd1:2379", "Last error: Failed to connect. Resolution note: "), [
    "what listens there may want TLS, and http://etcd1:2379 has none: say https where it does",
  ]);
  const cut = "Client network socket disconnected before secure TLS connection was established";
  assert.deepEqual(schemeDoubts("https://etcd1:2379", cut), [
    "what listens there may have no TLS, which https://etcd1:2379 wants: say http where it has none",
  ]);
});
