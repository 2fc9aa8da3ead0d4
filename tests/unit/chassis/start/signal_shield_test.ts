import assert from "node:assert/strict";
import { shieldSignals } from "../../../../src/chassis/start/signal_shield.ts";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import { EACCES } from "../../../../src/os/errno.ts";

const SELF = { path: "/usr/sbin/virtad", argv: ["virtad", "-v"], base: ["virtad"], env: ["A=1"] };

/** Calls of a shield. @param blocked whether the signals are blocked already */
function play(blocked: boolean): { calls: unknown[]; error: unknown } {
  const calls: unknown[] = [];
  const sys = {
    signalsBlocked: () => blocked ? 1 : 0,
    blockSignals: (signals: readonly number[]) => (calls.push(["block", ...signals]), 0),
    execve: (...args: unknown[]) => (calls.push(["execve", ...args]), -EACCES),
  };
  try {
    shieldSignals(sys, SELF);
    return { calls, error: undefined };
  } catch (error) {
    return { calls, error };
  }
}

Deno.test("shieldSignals() does nothing where whoever started the daemon has blocked its signals", () => {
  assert.deepEqual(play(true), { calls: [], error: undefined });
});

Deno.test("shieldSignals() blocks the signals and starts the program once more", () => {
  const { calls, error } = play(false);
  assert.deepEqual(calls, [
    ["block", 1, 2, 3, 10, 15, 13, 29],
    ["execve", "/usr/sbin/virtad", ["virtad", "-v"], ["A=1"]],
  ]);
  // It returns only when that has failed.
  assert.ok(error instanceof StartError);
  assert.deepEqual([error.code, error.message], [9, "Execute /usr/sbin/virtad: Permission denied (EACCES)"]);
});
