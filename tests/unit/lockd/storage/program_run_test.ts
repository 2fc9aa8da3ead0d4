import assert from "node:assert/strict";
import { ECHILD, EMFILE, ENOENT } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { readSmallFile } from "../../../../src/os/read_file.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { runProgram } from "../../../../src/lockd/storage/program_run.ts";
import type { ProgramResult } from "../../../../src/os/program_result.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";
import { sysWith } from "../../../support/storage_fixture.ts";
import { until } from "../../../support/until.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

/** Runs a line of shell, and checks that no descriptor is left. */
function shell(line: string, limit = 20_000, sys: Sys = linuxSys()): ProgramResult {
  const before = openDescriptors();
  const result = runProgram(sys, { path: "/bin/sh", argv: ["sh", "-c", line], env: ["WORD=hello"] }, limit);
  assert.deepEqual(openedSince(before), []);
  return result;
}

Deno.test("runProgram() collects both outputs and the exit code", () => {
  assert.deepEqual(shell("echo $WORD; echo there >&2; exit 7"), {
    kind: "ended",
    code: 7,
    output: "hello\nthere\n",
  });
});

Deno.test("runProgram() kills a program that does not end in time", () => {
  assert.deepEqual(shell("exec sleep 1000", 50), { kind: "failed", reason: "it did not end within 0.05 s" });
});

Deno.test("runProgram() kills also what a program has started that does not end in time", async () => {
  using scratch = new Scratch();
  const file = scratch.file("pid");
  const result = shell(`sleep 1000 & echo $! >${file}; wait`, 2000);
  assert.deepEqual(result, { kind: "failed", reason: "it did not end within 2 s" });
  const pid = Deno.readTextFileSync(file).trim();
  // A process that was killed shows no command, whether somebody has waited for it or not.
  await until(
    "the started program to end",
    () => (readSmallFile(kernel, `/proc/${pid}/cmdline`) ?? "") === "",
  );
});

Deno.test("runProgram() kills a program that writes without end", () => {
  assert.deepEqual(shell("exec yes", 20_000), { kind: "failed", reason: "it wrote 8192 bytes and more" });
});

Deno.test("runProgram() does not wait for a child of the program that keeps its output open", () => {
  const result = shell("sleep 1000 & echo $!");
  assert.equal(result.kind, "ended");
  kernel.kill(Number(result.kind === "ended" && result.output), 9);
});

Deno.test("runProgram() tells which signal ended a program", () => {
  assert.deepEqual(shell("kill -TERM $$"), { kind: "failed", reason: "it was killed by signal 15" });
});

Deno.test("runProgram() leaves no signal of its own blocked in the program", () => {
  const { output } = shell("grep SigBlk /proc/self/status") as Extract<ProgramResult, { kind: "ended" }>;
  assert.equal(output, "SigBlk:\t0000000000000000\n");
});

const FAULTS: [faults: Partial<Sys>, reason: string][] = [
  [{ epollCreate: () => -EMFILE }, "epoll_create1 event loop: Too many open files (EMFILE)"],
  [{ pidfdOpen: () => -EMFILE }, "pidfd_open /bin/sh: Too many open files (EMFILE)"],
  [{ pipe: () => -EMFILE }, "pipe /bin/sh: Too many open files (EMFILE)"],
  [{ open: () => -EMFILE }, "posix_spawn /bin/sh: Too many open files (EMFILE)"],
  [{ spawn: () => -ENOENT }, "posix_spawn /bin/sh: No such file or directory (ENOENT)"],
];
for (const [faults, reason] of FAULTS) {
  Deno.test(`runProgram() fails with '${reason}'`, () => {
    assert.deepEqual(shell("exit 0", 20_000, sysWith(faults)), { kind: "failed", reason });
  });
}

Deno.test("runProgram() tells that it could not wait for the program", () => {
  const real = linuxSys();
  const waitChild: Sys["waitChild"] = (pid, wait, into) => {
    real.waitChild(pid, wait, into);
    return -ECHILD;
  };
  assert.deepEqual(shell("exit 0", 20_000, sysWith({ waitChild })), {
    kind: "failed",
    reason: "waitpid /bin/sh: No child processes (ECHILD)",
  });
});
