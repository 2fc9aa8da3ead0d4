import assert from "node:assert/strict";
import { clientsText } from "../../../../src/storaged/cli/clients.ts";

const USERS = { userName: (uid: number) => uid === 0 ? "root" : `user${uid}` };

Deno.test("clientsText() has a line for each client", () => {
  const connected = Date.UTC(2026, 0, 1);
  const text = clientsText([
    { id: 3, pid: 12, uid: 0, connected, access: "everything", calls: 2, streams: 1 },
    { id: 4, pid: 0, uid: 1000, connected, access: "nothing", calls: 0, streams: 0 },
  ], USERS);
  assert.equal(
    text,
    [
      "ID  PID  USER      CONNECTED             MAY         CALLS  STREAMS",
      "3   12   root      2026-01-01 00:00:00Z  everything  2      1",
      "4   -    user1000  2026-01-01 00:00:00Z  nothing     0      0",
      "",
    ].join("\n"),
  );
});

Deno.test("clientsText() says that there is nobody", () => {
  assert.equal(clientsText([], USERS), "No client is connected\n");
});
