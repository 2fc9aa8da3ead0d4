import assert from "node:assert/strict";
import { configurationFault } from "../../../../src/chassis/start/configuration_fault.ts";
import { startContext } from "../../../../src/chassis/start/start.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";
import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

/** What is wrong with a configuration, `FILE` being its file. */
function fault(text: string, env: Record<string, string> = {}): string | undefined {
  using scratch = new Scratch();
  const config = scratch.write("x.conf", text.replaceAll("DIR", scratch.path));
  const options = { daemon: false, verbose: false, config, timeout: undefined, pidFile: undefined };
  const sys = { ...kernel, uid: () => 1000 };
  const context = startContext(VIRTLOCKD, sys, options, { HOME: scratch.path, ...env }, "/");
  return configurationFault(VIRTLOCKD, LOCK_SETTINGS, context, false)?.replaceAll(config, "FILE")
    .replaceAll(scratch.path, "DIR");
}

Deno.test("configurationFault() is undefined for what a daemon starts with, and leaves no descriptor open", () => {
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  assert.equal(fault('max_clients = 3\nlog_outputs = "1:file:DIR/x.log 3:stderr"\n'), undefined);
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
});

Deno.test("configurationFault() says what is wrong, and in which line", () => {
  assert.equal(
    fault("\nmax_clients = 0\n"),
    'FILE:2: expected an integer from 1 to 4294967295 for "max_clients", got 0',
  );
  assert.equal(
    fault('log_outputs = "1:file:DIR/no/x.log"\n'),
    "FILE:1: a log output cannot be opened: open DIR/no/x.log: No such file or directory (ENOENT)",
  );
  assert.equal(
    fault('log_outputs = "1:stderr"\n', { LIBVIRT_LOG_OUTPUTS: "1:file:/nowhere/x.log" }),
    "LIBVIRT_LOG_OUTPUTS: a log output cannot be opened: open /nowhere/x.log: No such file or directory (ENOENT)",
  );
  assert.equal(
    fault('max_clients = 3\nlog_filters = "9:x"\n'),
    "FILE:2: Invalid log_filters: Invalid priority '9' for filter '9:x'; " +
      "expected LEVEL:NAME with a level from 1 (debug) to 4 (error)",
  );
});
