import assert from "node:assert/strict";
import { ConfigError } from "../../../../src/chassis/config/config_error.ts";
import { UsageError } from "../../../../src/chassis/config/usage_error.ts";
import { LogConfigError } from "../../../../src/chassis/log/log_config_error.ts";
import { isLasting, refuseWaiting } from "../../../../src/chassis/start/failed_start.ts";
import { ExitCode, StartError } from "../../../../src/chassis/start/start_error.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { EACCES, EMFILE, ENOENT, ENOSPC } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

function caused(cause: unknown): StartError {
  return new StartError(ExitCode.USAGE, "x", { cause });
}

Deno.test("isLasting() tells what has to be mended from what may pass", () => {
  const lasting = [
    new UsageError("x"),
    new ConfigError("f:1", "a", "b"),
    caused(new ConfigError("f:1", "a", "b")),
    caused(new LogConfigError("x")),
    caused(new SystemError("open", "/f", EACCES)),
    new SystemError("open", "/f", ENOENT),
  ];
  for (const error of lasting) assert.equal(isLasting(error), true, String(error));
  const passing = [
    new StartError(ExitCode.USAGE, "Lock PID file /p: another virtlockd has it"),
    caused(new SystemError("open", "/f", EMFILE)),
    caused(new SystemError("write", "/f", ENOSPC)),
    new TypeError("a fault of the program"),
    "anything else",
    undefined,
  ];
  for (const error of passing) assert.equal(isLasting(error), false, String(error));
});

Deno.test("refuseWaiting() closes the connections that wait, and touches nothing else", () => {
  using scratch = new Scratch();
  const path = scratch.file("socket");
  const listener = kernel.socket(SOCK_STREAM, false);
  assert.equal(kernel.bind(listener, path), 0);
  assert.equal(kernel.listen(listener, 10), 0);
  const clients = [1, 2, 3].map(() => {
    const client = kernel.socket(SOCK_STREAM, true);
    assert.equal(kernel.connect(client, path), 0);
    return client;
  });
  const file = kernel.open(scratch.write("file", "text"), 0, 0);
  const before = openDescriptors();
  assert.equal(refuseWaiting(kernel, [file, listener]), 3);
  assert.equal(refuseWaiting(kernel, [file, listener]), 0);
  assert.deepEqual(openedSince(before), []);
  // Each has been told: the end of the stream.
  for (const client of clients) assert.equal(kernel.read(client, new Uint8Array(1)), 0);
  for (const fd of [file, listener, ...clients]) kernel.close(fd);
});
