import assert from "node:assert/strict";
import { encodeFlags, encodeTimeout } from "../../../support/admin_codec.ts";
import { XdrError } from "../../../../src/chassis/wire/xdr_error.ts";
import { adminProgram } from "../../../../src/chassis/admin/admin_program.ts";
import { FakeDaemon, refusal, refused } from "./admin_fixture.ts";
import { hex } from "../../lockd/programs/program_fixture.ts";

Deno.test("adminProgram() is program 0x06900690 version 1 with procedures 1 to 20", () => {
  const daemon = new FakeDaemon();
  const program = adminProgram({
    ...daemon,
    servers: () => [],
    setIdleTimeout() {},
    shutdown() {},
    userName: String,
    groupName: String,
  }, "1.0.0");
  assert.equal(program.number, 0x06900690);
  assert.equal(program.version, 1);
  assert.deepEqual(
    [...program.procedureNames.keys()].sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  assert.deepEqual(daemon.call(0), { kind: "unknown procedure" });
  assert.deepEqual(daemon.call(21), { kind: "unknown procedure" });
});

Deno.test("CONNECT_OPEN succeeds, also again, and refuses flags", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(daemon.call(1, (w) => encodeFlags(w, { flags: 0 }))), "");
  assert.equal(hex(daemon.call(1, (w) => encodeFlags(w, { flags: 0 }))), "");
  assert.deepEqual(daemon.call(1, (w) => encodeFlags(w, { flags: 1 })), {
    kind: "failed",
    code: 8,
    domain: 62,
    message: "unsupported flags (0x1) in function adminDispatchConnectOpen",
    str1: "adminDispatchConnectOpen",
    int1: 0,
  });
});

Deno.test("CONNECT_CLOSE replies and closes", () => {
  assert.deepEqual(new FakeDaemon().call(2), { kind: "ok", payload: new Uint8Array(0), close: true });
});

Deno.test("GET_LIB_VERSION gives the version as libvirt counts it", () => {
  assert.equal(hex(new FakeDaemon().call(3)), "0000000000895440");
});

Deno.test("a procedure throws XdrError when its arguments are cut short", () => {
  assert.throws(() => new FakeDaemon().call(1), XdrError);
  assert.throws(() => new FakeDaemon().call(19, (w) => w.u32(1)), XdrError);
});

Deno.test("SET_DAEMON_TIMEOUT takes any u32", () => {
  const daemon = new FakeDaemon();
  for (const seconds of [0, 30, 4294967295]) {
    assert.equal(hex(daemon.call(19, (w) => encodeTimeout(w, { seconds, flags: 0 }))), "");
  }
  assert.deepEqual(daemon.done, ["timeout 0", "timeout 30", "timeout 4294967295"]);
  assert.deepEqual(
    refused(daemon.call(19, (w) => encodeTimeout(w, { seconds: 1, flags: 2 }))),
    refusal(8, 62, "unsupported flags (0x2) in function adminConnectSetDaemonTimeout"),
  );
  assert.equal(daemon.done.length, 3);
});

Deno.test("CONNECT_DAEMON_SHUTDOWN stops the daemon after its reply, with flag 1 keeping the state", () => {
  const daemon = new FakeDaemon();
  assert.equal(hex(daemon.call(20, (w) => encodeFlags(w, { flags: 0 }))), "");
  assert.equal(hex(daemon.call(20, (w) => encodeFlags(w, { flags: 1 }))), "");
  assert.deepEqual(daemon.done, ["shutdown false", "shutdown true"]);
  assert.deepEqual(
    refused(daemon.call(20, (w) => encodeFlags(w, { flags: 3 }))),
    refusal(8, 62, "unsupported flags (0x2) in function adminConnectDaemonShutdown"),
  );
  assert.equal(daemon.done.length, 2);
});
