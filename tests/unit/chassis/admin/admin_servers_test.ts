import assert from "node:assert/strict";
import { encodeListServers, encodeServerArgs, encodeSetParams } from "../../../support/admin_codec.ts";
import { decodeParams, ParamType, type TypedParam } from "../../../../src/chassis/wire/typed_param.ts";
import { FakeDaemon, refusal, refused } from "./admin_fixture.ts";
import { type Answer, hex, result } from "../../lockd/programs/program_fixture.ts";

const NO_SERVER = refusal(95, 7, "Server not found: No server named 'zz'");
const NO_SERVER_OF_PARAMS = refusal(95, 62, "Server not found: no server with matching name 'zz' found");

function ofServer(daemon: FakeDaemon, procedure: number, server: string, flags = 0): Answer {
  return daemon.call(procedure, (w) => encodeServerArgs(w, { server, flags }));
}

function setParams(
  daemon: FakeDaemon,
  procedure: number,
  server: string,
  params: TypedParam[],
  flags = 0,
): Answer {
  return daemon.call(procedure, (w) => encodeSetParams(w, { server, params, flags }));
}

function uint(field: string, value: number): TypedParam {
  return { field, type: ParamType.UINT, value };
}

function params(answer: Answer): [string, number, unknown][] {
  const list = result(answer, (reader) => decodeParams(reader, 64, 1000));
  return list.map(({ field, type, value }) => [field, type, value]);
}

Deno.test("LIST_SERVERS gives the servers by name, or their number alone", () => {
  const daemon = new FakeDaemon();
  const list = (needResults: boolean, flags = 0) =>
    daemon.call(4, (w) => encodeListServers(w, { needResults, flags }));
  assert.equal(hex(list(true)), "000000020000000561646d696e00000000000009766972746c6f636b6400000000000002");
  assert.equal(hex(list(false)), "0000000000000002");
  assert.deepEqual(
    refused(list(true, 1)),
    refusal(8, 62, "unsupported flags (0x1) in function adminConnectListServers"),
  );
});

Deno.test("LOOKUP_SERVER finds a server by its whole name, whatever the flags", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(ofServer(daemon, 5, "virtlockd")), "00000009766972746c6f636b64000000");
  assert.equal(hex(ofServer(daemon, 5, "admin", 7)), "0000000561646d696e000000");
  assert.deepEqual(refused(ofServer(daemon, 5, "zz")), NO_SERVER);
  assert.deepEqual(refused(ofServer(daemon, 5, "")), refusal(95, 7, "Server not found: No server named ''"));
});

Deno.test("GET_THREADPOOL_PARAMETERS gives six zeros in libvirt's order", () => {
  const daemon = new FakeDaemon();
  assert.deepEqual(params(ofServer(daemon, 6, "virtlockd")), [
    ["minWorkers", 2, 0],
    ["maxWorkers", 2, 0],
    ["nWorkers", 2, 0],
    ["freeWorkers", 2, 0],
    ["prioWorkers", 2, 0],
    ["jobQueueDepth", 2, 0],
  ]);
});

Deno.test("a procedure of a server looks for the server before it looks at the flags", () => {
  const daemon = new FakeDaemon();
  for (
    const [procedure, where] of [
      [6, "adminServerGetThreadPoolParameters"],
      [12, "adminServerGetClientLimits"],
      [18, "adminServerUpdateTlsFiles"],
    ] as const
  ) {
    assert.deepEqual(refused(ofServer(daemon, procedure, "zz", 1)), NO_SERVER);
    assert.deepEqual(
      refused(ofServer(daemon, procedure, "admin", 1)),
      refusal(8, 62, `unsupported flags (0x1) in function ${where}`),
    );
  }
  for (
    const [procedure, where] of [
      [7, "adminServerSetThreadPoolParameters"],
      [13, "adminServerSetClientLimits"],
    ] as const
  ) {
    assert.deepEqual(refused(setParams(daemon, procedure, "zz", [uint("bogus", 1)], 4)), NO_SERVER_OF_PARAMS);
    assert.deepEqual(
      refused(setParams(daemon, procedure, "admin", [uint("bogus", 1)], 4)),
      refusal(8, 62, `unsupported flags (0x4) in function ${where}`),
    );
  }
});

Deno.test("SET_THREADPOOL_PARAMETERS leaves the pool without workers", () => {
  const daemon = new FakeDaemon();
  const set = (...list: TypedParam[]) => setParams(daemon, 7, "virtlockd", list);
  assert.equal(hex(set()), "");
  assert.equal(hex(set(uint("maxWorkers", 0), uint("minWorkers", 0))), "");
  assert.equal(hex(set(uint("prioWorkers", 3))), "");
  assert.deepEqual(
    refused(set(uint("maxWorkers", 5))),
    refusal(
      8,
      0,
      "invalid argument: maxWorkers must not be switched from zero to non-zero and vice versa",
    ),
  );
  const larger = refusal(8, 0, "invalid argument: minWorkers cannot be larger than maxWorkers");
  assert.deepEqual(refused(set(uint("minWorkers", 1))), larger);
  assert.deepEqual(refused(set(uint("minWorkers", 5), uint("maxWorkers", 3))), larger);
});

Deno.test("GET_CLIENT_LIMITS counts the clients", () => {
  const daemon = new FakeDaemon();
  daemon.lockServer.setLimits({ maxClients: 200, maxAnonymousClients: 20 });
  assert.deepEqual(params(ofServer(daemon, 12, "virtlockd")), [
    ["nclients_max", 2, 200],
    ["nclients", 2, 2],
    ["nclients_unauth_max", 2, 20],
    ["nclients_unauth", 2, 0],
  ]);
});

Deno.test("SET_CLIENT_LIMITS sets one or both, but never more unauthenticated clients than clients", () => {
  const daemon = new FakeDaemon();
  const set = (...list: TypedParam[]) => setParams(daemon, 13, "virtlockd", list);
  const more = refusal(
    8,
    7,
    "invalid argument: The overall maximum number of clients waiting for authentication must not be less than the overall maximum number of clients",
  );
  assert.equal(hex(set(uint("nclients_max", 200), uint("nclients_unauth_max", 20))), "");
  assert.deepEqual(daemon.lockServer.limits, { maxClients: 200, maxAnonymousClients: 20 });
  assert.deepEqual(refused(set(uint("nclients_max", 19))), more);
  assert.deepEqual(refused(set(uint("nclients_unauth_max", 201))), more);
  assert.deepEqual(daemon.lockServer.limits, { maxClients: 200, maxAnonymousClients: 20 });
  assert.equal(hex(set(uint("nclients_max", 20))), "");
  assert.equal(hex(set(uint("nclients_max", 0), uint("nclients_unauth_max", 0))), "");
  assert.deepEqual(daemon.lockServer.limits, { maxClients: 0, maxAnonymousClients: 0 });
  assert.deepEqual(daemon.adminServer.limits, { maxClients: 1024, maxAnonymousClients: 1024 });
  assert.deepEqual(
    refused(set(uint("nclients", 5))),
    refusal(74, 0, "argument unsupported: parameter 'nclients' not supported"),
  );
});

Deno.test("UPDATE_TLS_FILES says that there is no TLS", () => {
  assert.deepEqual(
    refused(ofServer(new FakeDaemon(), 18, "virtlockd")),
    refusal(1, 7, "internal error: no tls service found, unable to update tls files"),
  );
});
