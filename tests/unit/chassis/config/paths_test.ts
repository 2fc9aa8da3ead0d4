import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { defaultPaths } from "../../../../src/chassis/config/paths.ts";

const nothingExists = () => false;

function session(env: Record<string, string>, existing: string[] = []) {
  return defaultPaths(VIRTLOCKD, { uid: 1000, env, exists: (path) => existing.includes(path) });
}

Deno.test("defaultPaths() gives root the host's files, whatever the environment says", () => {
  const env = { HOME: "/root", XDG_RUNTIME_DIR: "/run/user/0", XDG_CONFIG_HOME: "relative" };
  assert.deepEqual(defaultPaths(VIRTLOCKD, { uid: 0, env, exists: nothingExists }), {
    config: "/etc/libvirt/virtlockd.conf",
    socket: "/run/libvirt/virtlockd-sock",
    readOnlySocket: "/run/libvirt/virtlockd-sock-ro",
    adminSocket: "/run/libvirt/virtlockd-admin-sock",
    pidFile: "/run/virtlockd.pid",
    stateDir: "/run",
    startFailures: "/run/virtlockd-start-failures",
    logFile: "/var/log/libvirt/virtlockd.log",
    runDir: "/run/libvirt",
  });
});

Deno.test("defaultPaths() gives a session the directories of its XDG variables", () => {
  assert.deepEqual(session({ XDG_CONFIG_HOME: "/c", XDG_RUNTIME_DIR: "/r", XDG_CACHE_HOME: "/k" }), {
    config: "/c/libvirt/virtlockd.conf",
    socket: "/r/libvirt/virtlockd-sock",
    readOnlySocket: "/r/libvirt/virtlockd-sock-ro",
    adminSocket: "/r/libvirt/virtlockd-admin-sock",
    pidFile: "/r/libvirt/virtlockd.pid",
    stateDir: "/r/libvirt",
    startFailures: "/r/libvirt/virtlockd-start-failures",
    logFile: "/k/libvirt/virtlockd.log",
    runDir: "/r/libvirt",
  });
});

Deno.test("defaultPaths() falls back to HOME when a session has no XDG variables", () => {
  assert.deepEqual(session({ HOME: "/home/u", XDG_RUNTIME_DIR: "", XDG_CONFIG_HOME: "" }), {
    config: "/home/u/.config/libvirt/virtlockd.conf",
    socket: "/home/u/.cache/libvirt/virtlockd-sock",
    readOnlySocket: "/home/u/.cache/libvirt/virtlockd-sock-ro",
    adminSocket: "/home/u/.cache/libvirt/virtlockd-admin-sock",
    pidFile: "/home/u/.cache/libvirt/virtlockd.pid",
    stateDir: "/home/u/.cache/libvirt",
    startFailures: "/home/u/.cache/libvirt/virtlockd-start-failures",
    logFile: "/home/u/.cache/libvirt/virtlockd.log",
    runDir: "/home/u/.cache/libvirt",
  });
});

Deno.test("defaultPaths() puts the sockets into XDG_CACHE_HOME when there is no XDG_RUNTIME_DIR", () => {
  assert.equal(session({ HOME: "/h", XDG_CACHE_HOME: "/k" }).socket, "/k/libvirt/virtlockd-sock");
});

Deno.test("defaultPaths() drops slashes at the end of a directory", () => {
  const paths = session({ HOME: "/", XDG_RUNTIME_DIR: "/r//" });
  assert.equal(paths.socket, "/r/libvirt/virtlockd-sock");
  assert.equal(paths.config, "/.config/libvirt/virtlockd.conf");
});

Deno.test("defaultPaths() chooses the first configuration file of a session that exists", () => {
  const env = { HOME: "/h", XDG_CONFIG_HOME: "/c" };
  const inner = "/c/libvirt/virtlockd.conf";
  const outer = "/c/virtlockd.conf";
  assert.equal(session(env, [inner, outer]).config, inner);
  assert.equal(session(env, [outer]).config, outer);
  assert.equal(session(env, []).config, inner);
});

Deno.test("defaultPaths() throws and names the variables when a session has neither XDG variable nor HOME", () => {
  const cases: [Record<string, string>, string][] = [
    [{}, "HOME: expected an absolute path, or one in XDG_CONFIG_HOME, got nothing"],
    [{ HOME: "" }, "HOME: expected an absolute path, or one in XDG_CONFIG_HOME, got nothing"],
    [
      { XDG_CONFIG_HOME: "/c", XDG_RUNTIME_DIR: "/r" },
      "HOME: expected an absolute path, or one in XDG_CACHE_HOME, got nothing",
    ],
    [{ HOME: "h" }, 'HOME: expected an absolute path, got "h"'],
    [{ HOME: "/h", XDG_RUNTIME_DIR: "r" }, 'XDG_RUNTIME_DIR: expected an absolute path, got "r"'],
    [{ HOME: "/h", XDG_CACHE_HOME: "./k" }, 'XDG_CACHE_HOME: expected an absolute path, got "./k"'],
    [{ HOME: "/h", XDG_CONFIG_HOME: "~/c" }, 'XDG_CONFIG_HOME: expected an absolute path, got "~/c"'],
  ];
  for (const [env, message] of cases) {
    assert.throws(() => session(env), (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.message, message);
      return true;
    });
  }
});
