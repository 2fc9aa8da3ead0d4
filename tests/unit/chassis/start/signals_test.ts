import assert from "node:assert/strict";
import { DAEMON_SIGNALS, watchSignals } from "../../../../src/chassis/start/signals.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { EventSys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";

/** What the daemon does at these signals, all pending at once. */
function handled(signals: readonly number[]): string[] {
  const pending = signals.map((signal) => ({ signal, pid: 100 + signal }));
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  const [output, input] = pipe;
  const loop = new EventLoop(kernel);
  const seen: string[] = [];
  const sys: EventSys = {
    ...kernel,
    signalfd: (wanted) => {
      assert.deepEqual(wanted, DAEMON_SIGNALS);
      return output;
    },
    readSignal: (_fd, into) => {
      const next = pending.shift();
      if (next === undefined) return -11;
      Object.assign(into, next);
      return next.signal;
    },
  };
  watchSignals(sys, loop, new DescriptorLedger(kernel), {
    reExec: (sender) => seen.push(`re-exec ${sender}`),
    reload: (sender) => seen.push(`reload ${sender}`),
    terminate: (signal, sender) => seen.push(`terminate ${signal} ${sender}`),
  });
  kernel.write(input, new Uint8Array(1));
  loop.turn(0);
  loop.close();
  for (const fd of pipe) kernel.close(fd);
  return seen;
}

Deno.test("watchSignals() tells each signal with its sender, and drops SIGPIPE and SIGIO", () => {
  assert.deepEqual(handled([10, 1, 13, 29, 15, 2, 3]), [
    "re-exec 110",
    "reload 101",
    "terminate 15 115",
    "terminate 2 102",
    "terminate 3 103",
  ]);
});

Deno.test("watchSignals() throws without a descriptor", () => {
  const sys: EventSys = { ...kernel, signalfd: () => -24 };
  const loop = new EventLoop(kernel);
  const handlers = { reExec() {}, reload() {}, terminate() {} };
  assert.throws(
    () => watchSignals(sys, loop, new DescriptorLedger(kernel), handlers),
    /^SystemError: signalfd signals: Too many open files/,
  );
  loop.close();
});
