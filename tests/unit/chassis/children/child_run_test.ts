import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { awaitChild } from "../../../../src/chassis/children/awaited_child.ts";
import { type ChildEnd, type ChildManner, runChild } from "../../../../src/chassis/children/child_run.ts";
import { ECHILD } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const MANNER: ChildManner = { limit: 20_000, most: 1000, outputs: "apart", kill: "group" };
const shell = (script: string) => ({
  path: "/bin/sh",
  argv: ["sh", "-c", script],
  env: ["PATH=/usr/bin:/bin"],
});

/** Runs a script to its end, and makes sure that nothing is left of it. */
function run(
  script: string,
  manner: Partial<ChildManner> = {},
  { sys = kernel, between = () => {} }: { sys?: Sys; between?: () => void } = {},
): ChildEnd {
  const before = openDescriptors();
  const loop = new EventLoop(sys);
  const ledger = new DescriptorLedger(sys);
  try {
    return awaitChild({ sys, loop, ledger }, shell(script), { ...MANNER, ...manner }, between);
  } finally {
    loop.close();
    assert.deepEqual([ledger.size, openedSince(before)], [0, []]);
  }
}

Deno.test("both outputs of a program are kept apart, or are one text", () => {
  const script = "echo out; echo err >&2; exit 3";
  assert.deepEqual(run(script), { kind: "exited", code: 3, stdout: "out\n", stderr: "err\n" });
  const joined = { kind: "exited", code: 3, stdout: "out\nerr\n", stderr: "" };
  assert.deepEqual(run(script, { outputs: "joined" }), joined);
});

Deno.test("a program that is killed by others says so with what it has written", () => {
  const end = run("echo out; kill -9 $$");
  assert.deepEqual(end, { kind: "killed", signal: 9, stdout: "out\n", stderr: "" });
});

Deno.test("a program that writes too much is killed, on either output", () => {
  const wanted = { kind: "failed", reason: "it wrote 1000 bytes and more" };
  assert.deepEqual(run("cat /dev/zero"), wanted);
  assert.deepEqual(run("cat /dev/zero >&2"), wanted);
  // Also one that has ended by then.
  assert.deepEqual(run("printf %1000s"), wanted);
});

Deno.test("a pipe that is full makes a program wait, as programs expect it", () => {
  const end = run("head -c 300000 /dev/zero", { most: 1 << 20 });
  assert.deepEqual(end, { kind: "exited", code: 0, stdout: "\0".repeat(300_000), stderr: "" });
});

Deno.test("a program of the caller's group is killed as the caller says", () => {
  const killed: number[] = [];
  const kill = (pid: number) => {
    killed.push(pid);
    kernel.kill(pid, 9);
  };
  assert.deepEqual(run("exec sleep 1000", { limit: 20, kill }), {
    kind: "failed",
    reason: "it did not end within 0.02 s",
  });
  assert.ok(killed.length > 0);
});

Deno.test("a program that is not dead at its limit is answered for, and its end is taken when it comes", () => {
  const loop = new EventLoop(kernel);
  const ledger = new DescriptorLedger(kernel);
  const ends: ChildEnd[] = [];
  const pids: number[] = [];
  const manner: ChildManner = { ...MANNER, limit: 20, kill: (pid) => void pids.push(pid) };
  const parts = { sys: kernel, loop, ledger };
  const child = runChild(parts, shell("exec sleep 1000"), manner, (end) => ends.push(end));
  assert.equal(ends.length, 0);
  while (ends.length === 0) loop.turn(1000);
  assert.deepEqual(ends, [{ kind: "failed", reason: "it did not end within 0.02 s" }]);
  assert.deepEqual([child.over, ledger.size], [false, 3]);
  kernel.kill(pids[0] as number, 9);
  while (!child.over) loop.turn(1000);
  assert.deepEqual([ends.length, ledger.size], [1, 0]);
  loop.close();
});

Deno.test("an error between two turns ends the program before it goes on", () => {
  let turns = 0;
  const between = () => {
    turns++;
    assert.fail("enough");
  };
  assert.throws(() => run("echo begun; exec sleep 1000", {}, { between }), /enough/);
  assert.equal(turns, 1);
});

Deno.test("an end that cannot be learnt is no end with code 0", () => {
  const waitChild: Sys["waitChild"] = (pid, wait, into) => {
    kernel.waitChild(pid, wait, into);
    return -ECHILD;
  };
  assert.deepEqual(run("exit 0", {}, { sys: { ...kernel, waitChild } }), {
    kind: "failed",
    reason: "waitpid /bin/sh: No child processes (ECHILD)",
  });
});
