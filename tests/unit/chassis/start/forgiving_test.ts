import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";
import assert from "node:assert/strict";
import type { LoggingSettings } from "../../../../src/chassis/log/log_settings.ts";
import { forgiveConfiguration, forgiveLogging } from "../../../../src/chassis/start/forgiving.ts";
import { startContext } from "../../../../src/chassis/start/start.ts";
import { ENOENT } from "../../../../src/os/errno.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

/** Not root, so that no path is the host's. */
const USER: Sys = { ...kernel, uid: () => 1000 };

function context(scratch: Scratch, text: string | undefined, env: Record<string, string> = {}) {
  const config = text === undefined ? scratch.file("absent") : scratch.write("x.conf", text);
  const options = { daemon: false, verbose: false, config, timeout: undefined, pidFile: undefined };
  return startContext(VIRTLOCKD, USER, options, { HOME: scratch.path, ...env }, "/");
}

Deno.test("forgiveConfiguration() keeps what is right and complains of each mistake", () => {
  using scratch = new Scratch();
  const complaints: string[] = [];
  const text =
    'max_clients = "five"\nadmin_max_clients = 7\nstorage_timeout = 0\nlog_level = \nmax_clients = 3\n';
  const { settings } = forgiveConfiguration(
    context(scratch, text),
    LOCK_SETTINGS,
    (message) => complaints.push(message),
  );
  assert.deepEqual([settings.maxClients, settings.adminMaxClients, settings.storageTimeout], [1024, 7, 10]);
  const file = scratch.file("x.conf");
  assert.deepEqual(complaints, [
    `${file}:1: expected an integer from 1 to 4294967295 for "max_clients", got the string "five"`,
    `${file}:3: expected an integer from 1 to 3600 for "storage_timeout", got 0`,
    `${file}:4: expected a value (a string in quotes, an integer or a list), got the end of the line`,
  ]);
});

Deno.test("forgiveConfiguration() takes the defaults where there is no file to read", () => {
  using scratch = new Scratch();
  const complaints: string[] = [];
  const { settings } = forgiveConfiguration(
    context(scratch, undefined),
    LOCK_SETTINGS,
    (message) => complaints.push(message),
  );
  assert.equal(settings.maxClients, 1024);
  assert.match(complaints.join(), /^Read configuration: open .*absent: No such file or directory/);
});

Deno.test("forgiveLogging() gives up outputs, filters and level in this order, as far as it has to", () => {
  using scratch = new Scratch();
  const used: LoggingSettings[] = [];
  const complaints: string[] = [];
  const setUp = (text: string, env: Record<string, string>, use: (settings: LoggingSettings) => void) => {
    complaints.length = 0;
    const start = context(scratch, text, env);
    const loaded = forgiveConfiguration(start, LOCK_SETTINGS, (message) => complaints.push(message));
    forgiveLogging(start, loaded, true, use, (message) => complaints.push(message));
  };
  setUp('log_level = 1\nlog_outputs = "9:nowhere"\nlog_filters = "2:rpc"\n', {}, (each) => used.push(each));
  assert.deepEqual(used.pop(), {
    level: 1,
    filters: "2:rpc",
    outputs: "1:stderr",
    outputsSource: { kind: "default" },
    defaultOutputs: "1:stderr",
  });
  assert.equal(complaints.length, 1);
  assert.match(complaints.join(), /Invalid log_outputs/);
  setUp("log_level = 1\n", { LIBVIRT_DEBUG: "loud" }, (each) => used.push(each));
  assert.deepEqual([used.pop()?.level, complaints.length], [3, 1]);
  let tries = 0;
  setUp("", {}, () => {
    tries++;
    throw new SystemError("open", "/log", ENOENT);
  });
  assert.deepEqual([tries, complaints.length], [4, 1]);
});
