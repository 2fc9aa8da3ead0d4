import assert from "node:assert/strict";
import { clientDocument } from "../../../../src/storaged/daemon/client_documents.ts";

const CLIENT = {
  clientId: 3,
  pid: 12,
  uid: 1000,
  connectedAt: 5000,
  authenticated: true,
  readOnly: false,
  calls: 1,
  streams: 2,
};

Deno.test("a client is shown with what it may do", () => {
  assert.deepEqual(clientDocument(CLIENT), {
    id: 3,
    pid: 12,
    uid: 1000,
    connected: 5000,
    access: "everything",
    calls: 1,
    streams: 2,
  });
  assert.equal(clientDocument({ ...CLIENT, readOnly: true }).access, "look");
  assert.equal(clientDocument({ ...CLIENT, authenticated: false }).access, "nothing");
});
