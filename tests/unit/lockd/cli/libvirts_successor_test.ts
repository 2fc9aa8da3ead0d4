import assert from "node:assert/strict";
import { faultOfSuccessor } from "../../../../src/lockd/cli/libvirts_successor.ts";
import type { Trial } from "../../../../src/lockd/cli/successor_trial.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const LIBVIRTS = "echo '/usr/sbin/virtlockd (libvirt) 9.0.0'";
const STARTS: Trial = { kind: "starts" };

/** What a daemon of libvirt's is. */
interface Daemon {
  /** Of its command line, behind the name. */
  readonly args?: readonly string[];
  /** What it was called as; its program's path where it is not said. */
  readonly name?: string;
  readonly trial?: Trial;
}

/**
 * Why a daemon with this program in its place must not execute anew, and with which program and configuration
 * a start was tried.
 */
function look(scratch: Scratch, program: string, { args = [], name, trial = STARTS }: Daemon = {}) {
  const path = scratch.write("virtlockd", `#!/bin/sh\n${program}\n`);
  Deno.chmodSync(path, 0o755);
  const pid = Deno.pid;
  const files: Record<string, string> = {
    [`/proc/${pid}/cmdline`]: scratch.write("cmdline", [name ?? path, ...args, ""].join("\0")),
    [`/proc/${pid}/environ`]: scratch.write("environ", `PATH=${scratch.path}:/usr/bin:/bin\0`),
  };
  const sys: Sys = { ...kernel, open: (path, flags, mode) => kernel.open(files[path] ?? path, flags, mode) };
  const tried: unknown[] = [];
  const fault = faultOfSuccessor(sys, pid, (_, program, configuration) => {
    tried.push([program, configuration]);
    return trial;
  });
  return {
    fault: fault?.replaceAll(path, "PROGRAM"),
    tried: JSON.stringify(tried).replaceAll(path, "PROGRAM"),
  };
}

Deno.test("faultOfSuccessor() finds what libvirt's daemon would execute unseen", () => {
  using scratch = new Scratch();
  const broken: readonly (readonly [string, string])[] = [
    ["exit 4", "PROGRAM does not run, it ended with code 4: "],
    ["echo broken >&2; exit 4", "PROGRAM does not run, it ended with code 4: broken"],
    ["kill -SEGV $$", "PROGRAM does not run: it was killed by signal 11"],
    ["exec cat /dev/zero", "PROGRAM does not run: it wrote 65536 bytes and more"],
    ["echo hello", "PROGRAM is no virtlockd: --version says 'hello'"],
  ];
  for (const [program, fault] of broken) {
    assert.deepEqual(look(scratch, program), { fault, tried: "[]" }, program);
  }
  const ours = "echo 'virtlockd (deno-virtlockd) 1.0.0'";
  assert.deepEqual(look(scratch, ours), { fault: undefined, tried: "[]" });
  assert.deepEqual(look(scratch, ours, { name: "virtlockd" }), { fault: undefined, tried: "[]" });
  assert.match(
    look(scratch, ours, { name: "/nowhere/virtlockd" }).fault ?? "",
    /^\/nowhere\/virtlockd does not run, it ended with code 127: .*No such file or directory/,
  );
});

Deno.test("faultOfSuccessor() tries libvirt's own program with the configuration that the daemon was given", () => {
  using scratch = new Scratch();
  assert.deepEqual(look(scratch, LIBVIRTS), { fault: undefined, tried: '[["PROGRAM",null]]' });
  for (const args of [["-d", "-f", "/x.conf"], ["--config", "/x.conf"], ["--config=/x.conf"]]) {
    assert.equal(look(scratch, LIBVIRTS, { args }).tried, '[["PROGRAM","/x.conf"]]');
  }
  for (const kind of ["fails", "hangs"] as const) {
    assert.equal(
      look(scratch, LIBVIRTS, { trial: { kind, reason: "max_clients" } }).fault,
      "PROGRAM does not start with its configuration: max_clients",
    );
  }
  assert.equal(look(scratch, LIBVIRTS, { trial: { kind: "untried" } }).fault, undefined);
});
