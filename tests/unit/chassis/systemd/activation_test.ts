import assert from "node:assert/strict";
import { readActivation } from "../../../../src/chassis/systemd/activation.ts";

/** What is read of an environment by process 42. */
function read(env: Record<string, string>) {
  return readActivation((name) => env[name], 42).descriptors;
}

Deno.test("readActivation() gives the descriptors from 3 on with their names", () => {
  const env = {
    LISTEN_PID: "42",
    LISTEN_FDS: "2",
    LISTEN_FDNAMES: "virtlockd.socket:virtlockd-admin.socket",
  };
  assert.deepEqual(read(env), [
    { fd: 3, name: "virtlockd.socket" },
    { fd: 4, name: "virtlockd-admin.socket" },
  ]);
});

Deno.test("readActivation() does with missing names", () => {
  assert.deepEqual(read({ LISTEN_PID: "42", LISTEN_FDS: "2" }), [{ fd: 3, name: "" }, { fd: 4, name: "" }]);
  assert.deepEqual(read({ LISTEN_PID: "42", LISTEN_FDS: "2", LISTEN_FDNAMES: "a" }), [
    { fd: 3, name: "a" },
    { fd: 4, name: "" },
  ]);
  assert.deepEqual(read({ LISTEN_PID: "42", LISTEN_FDS: "1", LISTEN_FDNAMES: "a:b" }), [{
    fd: 3,
    name: "a",
  }]);
});

Deno.test("readActivation() gives nothing that is not meant for this process", () => {
  assert.deepEqual(read({}), []);
  assert.deepEqual(read({ LISTEN_FDS: "2" }), []);
  assert.deepEqual(read({ LISTEN_PID: "43", LISTEN_FDS: "2" }), []);
  assert.deepEqual(read({ LISTEN_PID: "042", LISTEN_FDS: "2" }), []);
  for (const count of ["", "0", "-1", "x", "1.5"]) {
    assert.deepEqual(read({ LISTEN_PID: "42", LISTEN_FDS: count }), [], count);
  }
});
