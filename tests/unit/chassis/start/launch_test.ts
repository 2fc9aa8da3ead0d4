import assert from "node:assert/strict";
import { launchInBackground, StartReport } from "../../../../src/chassis/start/launch.ts";
import type { SelfImage } from "../../../../src/chassis/start/self.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { EINTR } from "../../../../src/os/errno.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

/** An image that runs a shell script. */
function script(text: string): SelfImage {
  const argv = ["sh", "-c", text];
  return { path: "/bin/sh", argv, base: argv, env: ["PATH=/usr/bin:/bin", "LISTEN_PID=1", "KEPT=yes"] };
}

/** What a start that fails throws, as `code message`. */
function failure(image: SelfImage, sys: Sys = kernel): string {
  const before = openDescriptors();
  try {
    launchInBackground(sys, image);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    if (sys === kernel) assert.deepEqual(openedSince(before), []);
    return `${error.code} ${error.message}`;
  }
  return "";
}

Deno.test("launchInBackground() returns when the daemon says that it is ready", () => {
  using scratch = new Scratch();
  const file = scratch.file("facts");
  const facts = `{ echo $KEPT $LISTEN_PID; readlink /proc/self/fd/0; readlink /proc/self/fd/2; } > ${file}`;
  assert.equal(failure(script(`${facts}; printf ready >&3`)), "");
  assert.equal(Deno.readTextFileSync(file), "yes\n/dev/null\n/dev/null\n");
});

Deno.test("launchInBackground() starts the daemon with its signals blocked, in a session of its own", () => {
  using scratch = new Scratch();
  const file = scratch.file("facts");
  const mask = "while read key value; do [ $key = SigBlk: ] && echo $value; done < /proc/self/status";
  const session =
    "read pid comm state parent group session rest < /proc/self/stat; [ $pid = $session ]; echo $?";
  assert.equal(failure(script(`{ ${mask}; ${session}; } > ${file}; printf ready >&3`)), "");
  // HUP INT QUIT USR1 PIPE TERM IO.
  assert.equal(Deno.readTextFileSync(file), "0000000010005207\n0\n");
});

Deno.test("launchInBackground() passes the daemon's reason and code on", () => {
  assert.equal(
    failure(script("printf '6 Bind socket: no\\nreally' >&3; exit 6")),
    "6 Bind socket: no\nreally",
  );
});

Deno.test("launchInBackground() goes on waiting after a signal", () => {
  let waits = 0;
  const sys: Sys = {
    ...kernel,
    pollReadable: (...args) => waits++ === 0 ? -EINTR : kernel.pollReadable(...args),
  };
  assert.equal(failure(script("printf ready >&3"), sys), "");
  assert.ok(waits > 1);
});

Deno.test("launchInBackground() tells of a daemon that ended without a word", () => {
  assert.equal(failure(script("exit 5")), "5 The daemon ended while it started");
  assert.equal(failure(script("exit 0")), "3 The daemon ended while it started");
  assert.equal(failure(script("kill -SEGV $$")), "3 The daemon was killed by signal 11 while it started");
});

Deno.test("launchInBackground() tells what keeps it from starting anything", () => {
  assert.equal(failure(script("true"), { ...kernel, pipe: () => -24 }), "3 Make a pipe: too few descriptors");
  const missing = { ...script("true"), path: "/nowhere" };
  assert.throws(
    () => launchInBackground(kernel, missing),
    /^SystemError: posix_spawn \/nowhere: No such file/,
  );
});

Deno.test("StartReport tells once, and only somebody who waits", () => {
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  const [output, input] = pipe;
  const report = new StartReport(kernel, input);
  assert.ok(report.awaited);
  report.failed(new StartError(6, "no"));
  assert.ok(!report.awaited);
  report.ready();
  const bytes = new Uint8Array(100);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, kernel.read(output, bytes))), "6 no");
  assert.equal(kernel.read(output, bytes), 0);
  kernel.close(output);
  const nobody = new StartReport(kernel, undefined);
  assert.ok(!nobody.awaited);
  nobody.ready();
});
