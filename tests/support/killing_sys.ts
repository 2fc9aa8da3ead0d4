import { SIGKILL } from "../../src/os/constants.ts";
import type { Mapping, Sys } from "../../src/os/sys.ts";

/** Names the file through which a test tells when to die.. */
export const KILL_VARIABLE = "TEST_KILL_SWITCH";
/** Bytes of that file: three 32-bit words. */
export const KILL_SIZE = 4096;
/**
 * Words: how many system calls are still to come (0: no limit), when to die, how many calls were made since
 * it was armed.
 */
export const Switch = { LEFT: 0, WHEN: 1, MADE: 2 } as const;
/** When to die, relative to the call. */
export const When = { BEFORE: 0, AFTER: 1 } as const;

/** Calls that other threads of the program make at any time, or that end the process in another way. */
const UNCOUNTED: ReadonlySet<string> = new Set([
  "epollWait",
  "monotonic",
  "pid",
  "kill",
  "userName",
  "groupName",
]);

/** A kernel that kills the process with SIGKILL before or after the call that the switch says. */
export function killingSys(sys: Sys, switchBytes: Mapping): Sys {
  const words = new Int32Array(switchBytes.bytes.buffer, switchBytes.bytes.byteOffset, 3);
  const die = () => {
    sys.kill(sys.pid(), SIGKILL);
    // The signal is delivered before kill(2) returns to its own process.
    throw new Error("Kill this process: it goes on");
  };
  const wrapped: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(sys)) {
    wrapped[name] = UNCOUNTED.has(name) ? method : (...args: unknown[]) => {
      const left = words[Switch.LEFT] as number;
      if (left === 0) return method(...args);
      words[Switch.MADE] = (words[Switch.MADE] as number) + 1;
      words[Switch.LEFT] = left - 1;
      if (left === 1 && words[Switch.WHEN] === When.BEFORE) die();
      const result = method(...args);
      if (left === 1) die();
      return result;
    };
  }
  return wrapped as typeof sys & Record<string, unknown>;
}
