import assert from "node:assert/strict";
import { childrenOf, processCommand, processState, statFields } from "../../../src/os/process_state.ts";
import { kernel } from "../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../support/open_descriptors.ts";

/** A kernel with one file, whatever its path. */
function withFile(text: string) {
  return {
    open: () => 5,
    read: (_fd: number, into: Uint8Array) => new TextEncoder().encodeInto(text, into).written,
    close: () => 0,
  };
}

function stat(state: string, flags: number, command = "qemu"): string {
  return `42 (${command}) ${state} 1 42 42 0 -1 ${flags} 0 0 0 0 10 20 0 0 20 0 5 0 987654 0 0\n`;
}

Deno.test("processState() reads state, flags and start time", () => {
  const runs = { exiting: false, stopped: false, startTime: 987654 };
  const ends = { ...runs, exiting: true };
  assert.deepEqual(processState(withFile(stat("S", 0x400000)), 42), runs);
  assert.deepEqual(processState(withFile(stat("R", 0x40000c)), 42), ends);
  assert.deepEqual(processState(withFile(stat("Z", 0)), 42), ends);
  assert.deepEqual(processState(withFile(stat("X", 0)), 42), ends);
  assert.deepEqual(processState(withFile(stat("T", 0x400000)), 42), { ...runs, stopped: true });
  // Somebody looks at it with a debugger.
  assert.deepEqual(processState(withFile(stat("t", 0x400000)), 42), runs);
});

Deno.test("processState() is not fooled by a command with parentheses", () => {
  const tricky = stat("S", 0, "a) Z 1 (b");
  assert.deepEqual(processState(withFile(tricky), 42), {
    exiting: false,
    stopped: false,
    startTime: 987654,
  });
});

Deno.test("processState() knows this process, and none that is not there", () => {
  const before = openDescriptors();
  const state = processState(kernel, Deno.pid);
  assert.equal(state?.exiting, false);
  assert.ok((state?.startTime ?? 0) > 0);
  assert.equal(processState(kernel, 0x7fffffff), undefined);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("processCommand() is the command's name, empty for a process that is gone", () => {
  assert.equal(processCommand(kernel, Deno.pid), Deno.readTextFileSync("/proc/self/comm").trim());
  assert.equal(processCommand(kernel, 0x7fffffff), "");
});

Deno.test("statFields() begins behind the command, whatever that is", () => {
  assert.deepEqual(statFields("7 (a) b (c)) S 1 2\n").slice(0, 3), ["S", "1", "2\n"]);
});

Deno.test("childrenOf() knows the processes that one has started, and none of one that is not there", async () => {
  const shell = new Deno.Command("sh", {
    args: ["-c", "sleep 600 & echo $!; wait"],
    stdout: "piped",
  }).spawn();
  const reader = shell.stdout.getReader();
  const { value } = await reader.read();
  const started = Number(new TextDecoder().decode(value));
  assert.deepEqual(childrenOf(kernel, shell.pid), [started]);
  Deno.kill(started, "SIGKILL");
  await reader.cancel();
  await shell.status;
  assert.deepEqual(childrenOf(kernel, 0x7fffffff), []);
});
