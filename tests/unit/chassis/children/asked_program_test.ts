import assert from "node:assert/strict";
import { askProgram, askProgramNow, resultOf } from "../../../../src/chassis/children/asked_program.ts";
import type { ProgramResult } from "../../../../src/os/program_result.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";

/** Runs a shell script on a loop of its own, until nothing of it is left open. */
function askScript(script: string, { limit = 20_000, sys = kernel }: { limit?: number; sys?: Sys } = {}) {
  const loop = new EventLoop(sys);
  const ledger = new DescriptorLedger(sys);
  const results: ProgramResult[] = [];
  const parts = { sys, loop, ledger, env: ["PATH=/usr/bin:/bin", "NOTIFY_SOCKET=/x", "LISTEN_PID=1"], limit };
  askProgram(parts, "/bin/sh", ["sh", "-c", script], (result) => results.push(result));
  assert.equal(results.length, 0, "it answered before it returned");
  while (results.length === 0 || ledger.size > 0) loop.turn(20_000);
  loop.close();
  assert.equal(results.length, 1);
  return results[0] ?? assert.fail();
}

Deno.test("askProgramNow() waits for the answer", () => {
  const loop = new EventLoop(kernel);
  const ledger = new DescriptorLedger(kernel);
  const parts = { sys: kernel, loop, ledger, env: ["PATH=/usr/bin:/bin"], limit: 20_000 };
  const result = askProgramNow(parts, "/bin/sh", ["sh", "-c", "echo $0 $PATH"]);
  assert.deepEqual(result, { kind: "ended", code: 0, output: "sh /usr/bin:/bin\n" });
  assert.equal(ledger.size, 0);
  loop.close();
});

Deno.test("resultOf() tells an exit code from whatever else ended a program", () => {
  const texts = { stdout: "out", stderr: "" };
  assert.deepEqual(resultOf({ kind: "exited", code: 78, ...texts }), {
    kind: "ended",
    code: 78,
    output: "out",
  });
  assert.deepEqual(resultOf({ kind: "killed", signal: 11, ...texts }), {
    kind: "failed",
    reason: "it was killed by signal 11",
  });
  assert.deepEqual(resultOf({ kind: "failed", reason: "it was slow" }), {
    kind: "failed",
    reason: "it was slow",
  });
  assert.deepEqual(resultOf({ kind: "unstarted", error: new SystemError("pipe", "/bin/x", 24) }), {
    kind: "failed",
    reason: "pipe /bin/x: Too many open files (EMFILE)",
  });
});

function failing(name: keyof Sys, errno: number): Sys {
  return { ...kernel, [name]: () => -errno };
}

Deno.test("askProgram() collects output, errors and the exit code", () => {
  assert.deepEqual(askScript("echo out; echo err >&2; exit 5"), {
    kind: "ended",
    code: 5,
    output: "out\nerr\n",
  });
  assert.deepEqual(askScript("exit 0"), { kind: "ended", code: 0, output: "" });
});

Deno.test("askProgram() gives the program an environment without what is meant for this process", () => {
  const result = askScript("echo $NOTIFY_SOCKET $LISTEN_PID $PATH");
  assert.deepEqual(result, { kind: "ended", code: 0, output: "/usr/bin:/bin\n" });
});

Deno.test("askProgram() tells which signal killed the program", () => {
  assert.deepEqual(askScript("kill -SEGV $$"), { kind: "failed", reason: "it was killed by signal 11" });
});

Deno.test("askProgram() kills a program that does not end in time", () => {
  const wanted = { kind: "failed", reason: "it did not end within 0.05 s" };
  assert.deepEqual(askScript("exec sleep 1000", { limit: 50 }), wanted);
  // Also one that has closed its output, and the children of one.
  assert.deepEqual(askScript("exec >&- 2>&-; exec sleep 1000", { limit: 50 }), wanted);
  assert.deepEqual(askScript("sleep 1000; true", { limit: 50 }), wanted);
});

Deno.test("askProgram() does not wait for a child of the program that keeps its output open", () => {
  const result = askScript("sleep 1000 & echo $!");
  assert.equal(result.kind, "ended");
  kernel.kill(Number(result.kind === "ended" && result.output), 9);
});

Deno.test("askProgram() kills a program that writes too much", () => {
  assert.deepEqual(askScript("cat /dev/zero"), { kind: "failed", reason: "it wrote 65536 bytes and more" });
});

Deno.test("askProgram() fails when the program cannot be started, and leaves nothing open", () => {
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const cases: [keyof Sys, number, string][] = [
    ["pipe", 24, "pipe /bin/sh: Too many open files (EMFILE)"],
    ["open", 24, "posix_spawn /bin/sh: Too many open files (EMFILE)"],
    ["spawn", 11, "posix_spawn /bin/sh: Resource temporarily unavailable (EAGAIN)"],
    ["pidfdOpen", 24, "pidfd_open /bin/sh: Too many open files (EMFILE)"],
  ];
  for (const [name, errno, reason] of cases) {
    assert.deepEqual(askScript("exit 0", { sys: failing(name, errno) }), { kind: "failed", reason });
  }
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
});
