import assert from "node:assert/strict";
import { readStart } from "../../../../src/lockd/life/read_start.ts";
import { StartReport } from "../../../../src/chassis/start/launch.ts";
import type { DaemonOptions } from "../../../../src/chassis/config/options.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

/** Not root, so that no path is the host's. */
const USER: Sys = { ...kernel, uid: () => 1000, pid: () => 4711 };

/** What a start reads. @param atStake whether guests would lose locks if it failed */
function read(scratch: Scratch, config: string | undefined, mistakes: readonly string[], atStake: boolean) {
  const options: DaemonOptions = {
    daemon: false,
    verbose: false,
    config: config === undefined ? undefined : scratch.write("x.conf", config),
    timeout: undefined,
    pidFile: undefined,
  };
  const env = {
    XDG_RUNTIME_DIR: scratch.path,
    XDG_CONFIG_HOME: scratch.path,
    XDG_CACHE_HOME: scratch.path,
    LISTEN_PID: "4711",
    LISTEN_FDS: "1",
    LISTEN_FDNAMES: "virtlockd.socket",
  };
  const self = { path: "/x", argv: ["/x"], base: ["/x"], env: [] };
  const report = new StartReport(USER, undefined);
  return readStart({
    sys: USER,
    self,
    options,
    env,
    cwd: "/work",
    report,
    complaints: ["NOTIFY_SOCKET is wrong"].slice(0, mistakes.length),
    mistakes,
    atStake: () => atStake,
  });
}

Deno.test("readStart() knows what there is, and has touched nothing", () => {
  using scratch = new Scratch();
  const start = read(scratch, "max_clients = 7\n", [], false);
  assert.deepEqual([start.pid, start.cwd, start.handed, start.taken], [4711, "/work", undefined, undefined]);
  assert.deepEqual(start.returned, [{ fd: 3, name: "virtlockd.socket" }]);
  assert.deepEqual([start.loaded.settings.maxClients, start.complaints], [7, []]);
  assert.deepEqual([...Deno.readDirSync(scratch.path)].map(({ name }) => name), ["x.conf"]);
});

Deno.test("readStart() refuses a mistake in arguments or configuration when nothing is at stake", () => {
  using scratch = new Scratch();
  assert.throws(() => read(scratch, undefined, ['Unknown option "--x"'], false), {
    name: "UsageError",
    message: 'Unknown option "--x"',
  });
  assert.throws(() => read(scratch, "max_clients = 0\n", [], false), {
    name: "StartError",
    message: `${scratch.file("x.conf")}:1: expected an integer from 1 to 4294967295 for "max_clients", got 0`,
  });
});

Deno.test("readStart() goes on with what is right when guests would lose their locks, and keeps what to say", () => {
  using scratch = new Scratch();
  const start = read(scratch, "max_clients = 0\nstorage_timeout = 5\n", ['Unknown option "--x"'], true);
  assert.deepEqual([start.loaded.settings.maxClients, start.loaded.settings.storageTimeout], [1024, 5]);
  assert.deepEqual(start.complaints, [
    "NOTIFY_SOCKET is wrong",
    'Unknown option "--x"; it is left out, correct the arguments of the service',
    `${scratch.file("x.conf")}:1: expected an integer from 1 to 4294967295 for "max_clients", got 0`,
  ]);
});

Deno.test("readStart() takes no state that was meant for another process, and takes it out of the way", () => {
  using scratch = new Scratch();
  Deno.mkdirSync(scratch.file("libvirt"));
  const path = scratch.file("libvirt/virtlockd-restart-exec.json");
  Deno.symlinkSync("/etc/passwd", path);
  const { taken, handed } = read(scratch, undefined, [], false);
  assert.deepEqual([taken?.kind, handed], ["link", undefined]);
  assert.throws(() => Deno.lstatSync(path), { name: "NotFound" });
  assert.ok(Deno.statSync("/etc/passwd").isFile);
});
