import assert from "node:assert/strict";
import { encodeClientArgs, encodeListClients, encodeLookupClient } from "../../../support/admin_codec.ts";
import { decodeParams } from "../../../../src/chassis/wire/typed_param.ts";
import { FakeDaemon, FakeServer, refusal, refused } from "./admin_fixture.ts";
import { type Answer, hex, result } from "../../lockd/programs/program_fixture.ts";

const CLIENT_1 = "00000009766972746c6f636b64000000" + "0000000000000001" + "000000006b019812" + "00000000";
const CLIENT_3 = CLIENT_1.replace("0000000000000001", "0000000000000003");

function list(daemon: FakeDaemon, server: string, needResults = true, flags = 0): Answer {
  return daemon.call(8, (w) => encodeListClients(w, { server, needResults, flags }));
}

function lookUp(daemon: FakeDaemon, server: string, id: bigint, flags = 0): Answer {
  return daemon.call(9, (w) => encodeLookupClient(w, { server, id, flags }));
}

function ofClient(daemon: FakeDaemon, procedure: number, server: string, id: bigint, flags = 0): Answer {
  const client = { server, id, timestamp: 77n, transport: 5 };
  return daemon.call(procedure, (w) => encodeClientArgs(w, { client, flags }));
}

Deno.test("LIST_CLIENTS gives the clients by id with the second of their connection", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(list(daemon, "virtlockd")), `00000002${CLIENT_1}${CLIENT_3}00000002`);
  assert.equal(hex(list(daemon, "virtlockd", false)), "0000000000000002");
  assert.deepEqual(
    refused(list(daemon, "x", true, 1)),
    refusal(95, 7, "Server not found: No server named 'x'"),
  );
  assert.deepEqual(
    refused(list(daemon, "admin", true, 1)),
    refusal(8, 62, "unsupported flags (0x1) in function adminServerListClients"),
  );
});

Deno.test("LIST_CLIENTS refuses a list that is longer than the protocol's, but still counts it", () => {
  const daemon = new FakeDaemon();
  const crowd = new FakeServer("crowd", Array.from({ length: 16385 }, (_, index) => index + 1));
  for (const [id, client] of crowd.clients) daemon.lockServer.clients.set(id, client);
  assert.deepEqual(
    refused(list(daemon, "virtlockd")),
    refusal(1, 62, "internal error: Too many clients '16385' for limit '16384'"),
  );
  assert.equal(hex(list(daemon, "virtlockd", false)), "0000000000004001");
});

Deno.test("LOOKUP_CLIENT finds a client of that server, then looks at the flags", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(lookUp(daemon, "virtlockd", 1n)), CLIENT_1);
  assert.deepEqual(
    refused(lookUp(daemon, "admin", 1n, 1)),
    refusal(96, 7, "Client not found: No client with matching ID '1'"),
  );
  assert.deepEqual(
    refused(lookUp(daemon, "virtlockd", 18446744073709551615n)),
    refusal(96, 7, "Client not found: No client with matching ID '18446744073709551615'"),
  );
  assert.deepEqual(
    refused(lookUp(daemon, "virtlockd", 1n, 1)),
    refusal(8, 62, "unsupported flags (0x1) in function adminServerLookupClient"),
  );
});

Deno.test("CLIENT_GET_INFO gives who it is, the security context last where there is one", () => {
  const daemon = new FakeDaemon();
  const info = (id: bigint) =>
    result(ofClient(daemon, 10, "virtlockd", id), (reader) => decodeParams(reader, 64, 1000))
      .map(({ field, type, value }) => [field, type, value]);
  const common = [
    ["readonly", 6, false],
    ["unix_user_id", 1, 1000],
    ["unix_user_name", 7, "user1000"],
    ["unix_group_id", 1, 100],
    ["unix_group_name", 7, "group100"],
    ["unix_process_id", 1, 4242],
  ];
  assert.deepEqual(info(1n), common);
  assert.deepEqual(info(3n), [...common, ["selinux_context", 7, "system_u:system_r:virtd_t:s0"]]);
});

Deno.test("CLIENT_GET_INFO words what is missing in its own way", () => {
  const daemon = new FakeDaemon();
  assert.deepEqual(
    refused(ofClient(daemon, 10, "zz", 1n, 1)),
    refusal(95, 62, "Server not found: no server with matching name 'zz' found"),
  );
  assert.deepEqual(
    refused(ofClient(daemon, 10, "virtlockd", 7n, 1)),
    refusal(96, 62, "Client not found: no client with matching id '7' found"),
  );
  assert.deepEqual(
    refused(ofClient(daemon, 10, "virtlockd", 1n, 1)),
    refusal(8, 62, "unsupported flags (0x1) in function adminClientGetInfo"),
  );
});

Deno.test("CLIENT_CLOSE ends the connection of that client only", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(ofClient(daemon, 11, "virtlockd", 3n)), "");
  assert.deepEqual(daemon.lockServer.ended, ["3: closed by an administrator"]);
  assert.deepEqual(
    refused(ofClient(daemon, 11, "virtlockd", 9n)),
    refusal(96, 7, "Client not found: No client with matching ID '9'"),
  );
  assert.deepEqual(
    refused(ofClient(daemon, 11, "virtlockd", 1n, 1)),
    refusal(8, 62, "unsupported flags (0x1) in function adminClientClose"),
  );
  assert.deepEqual(daemon.lockServer.ended.length, 1);
  assert.deepEqual(daemon.adminServer.ended, []);
});
