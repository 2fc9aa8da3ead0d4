import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";
import assert from "node:assert/strict";
import type { DaemonOptions } from "../../../../src/chassis/config/options.ts";
import {
  loggingFor,
  readConfiguration,
  readSettings,
  startContext,
  startLoop,
} from "../../../../src/chassis/start/start.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const OPTIONS: DaemonOptions = {
  daemon: false,
  verbose: false,
  config: undefined,
  timeout: undefined,
  pidFile: undefined,
};
/** Not root, so that no path is the host's. */
const USER: Sys = { ...kernel, uid: () => 1000 };

function context(scratch: Scratch, options: Partial<DaemonOptions> = {}, env: Record<string, string> = {}) {
  const directories = {
    HOME: scratch.path,
    XDG_RUNTIME_DIR: scratch.file("run"),
    XDG_CONFIG_HOME: scratch.file("conf"),
  };
  return startContext(
    VIRTLOCKD,
    USER,
    { ...OPTIONS, ...options },
    { ...directories, ...env },
    scratch.file("cwd"),
  );
}

function refused(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof StartError, String(error));
    assert.equal(error.code, 1);
    assert.match(error.message, message);
    return true;
  };
}

Deno.test("startContext() finds the files, and completes paths that were given", () => {
  using scratch = new Scratch();
  const { paths, uid } = context(scratch, { config: "own.conf", pidFile: "/run/own.pid" });
  assert.equal(uid, 1000);
  assert.equal(paths.config, scratch.file("cwd/own.conf"));
  assert.equal(paths.pidFile, "/run/own.pid");
  assert.equal(paths.socket, scratch.file("run/libvirt/virtlockd-sock"));
});

Deno.test("startContext() refuses an environment without directories", () => {
  using scratch = new Scratch();
  assert.throws(
    () => context(scratch, {}, { HOME: "", XDG_RUNTIME_DIR: "" }),
    refused(/^HOME: expected an absolute path/),
  );
});

Deno.test("readSettings() does without a configuration file unless one was named", () => {
  using scratch = new Scratch();
  assert.equal(readSettings(context(scratch), LOCK_SETTINGS).settings.maxClients, 1024);
  assert.throws(
    () => readSettings(context(scratch, { config: "absent" }), LOCK_SETTINGS),
    refused(/^Read configuration: open .*\/cwd\/absent: No such file or directory/),
  );
});

Deno.test("readSettings() names file and line of what is wrong", () => {
  using scratch = new Scratch();
  const path = scratch.write("x.conf", "max_clients = 5\nlog_level = [\n");
  assert.throws(
    () => readSettings(context(scratch, { config: path }), LOCK_SETTINGS),
    refused(/^.*\/x\.conf:\d+: /),
  );
  scratch.write("x.conf", "max_clients = 5\n");
  assert.equal(readSettings(context(scratch, { config: path }), LOCK_SETTINGS).settings.maxClients, 5);
});

Deno.test("readConfiguration() reads the file once, so that limits and logging are of one version of it", () => {
  using scratch = new Scratch();
  const path = scratch.write("x.conf", "max_clients = 5\nlog_level = 1\n");
  let opened = 0;
  const sys: Sys = { ...USER, open: (...args) => (opened++, USER.open(...args)) };
  const { loaded, logging } = readConfiguration(
    { ...context(scratch, { config: path }), sys },
    LOCK_SETTINGS,
    true,
  );
  assert.deepEqual([opened, loaded.settings.maxClients, logging.level], [1, 5, 1]);
});

Deno.test("readSettings() tells of a file that cannot be read, also of one that was not named", () => {
  using scratch = new Scratch();
  const unreadable = { ...context(scratch), sys: { ...USER, open: () => -13 } };
  assert.throws(
    () => readSettings(unreadable, LOCK_SETTINGS),
    refused(/^Read configuration: open .*: Permission denied/),
  );
});

Deno.test("loggingFor() refuses a wrong level, filter or output in one line", () => {
  using scratch = new Scratch();
  for (
    const [name, value] of [["LIBVIRT_DEBUG", "9"], ["LIBVIRT_LOG_FILTERS", "9:x"], [
      "LIBVIRT_LOG_OUTPUTS",
      "1:x",
    ]]
  ) {
    const wrong = context(scratch, {}, { [name ?? ""]: value ?? "" });
    assert.throws(() => loggingFor(wrong, readSettings(wrong, LOCK_SETTINGS), true), refused(/9|1:x/));
  }
});

Deno.test("startLoop() records the loop's descriptors, and throws with the code of initialisation", () => {
  const before = openDescriptors();
  const { loop, ledger } = startLoop(kernel);
  assert.deepEqual([...ledger.entries()], loop.descriptors.map((fd) => [fd, "event-loop"]));
  loop.close();
  assert.deepEqual(openedSince(before), []);
  assert.throws(
    () => startLoop({ ...kernel, epollCreate: () => -24 }),
    (error) => error instanceof StartError && error.code === 3 && /Too many open files/.test(error.message),
  );
});
