import type { EventLoop, Timer } from "../event/event_loop.ts";
import { EPOLLIN, O_CLOEXEC, O_RDWR } from "../os/constants.ts";
import { EAGAIN } from "../os/errno.ts";
import type { DescriptorLedger } from "../os/ledger.ts";
import type { Sys } from "../os/sys.ts";
import { SystemError } from "../os/system_error.ts";
import { decodeText } from "../os/text.ts";
import { lastingEnvironment } from "./self.ts";

const MAX_OUTPUT = 65536;

/** How a probed program ended. */
export type ProbeResult =
  | { kind: "ended"; code: number; output: string }
  | { kind: "failed"; reason: string };

/** What probing works with. */
export interface ProbeParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  /** Environment of the daemon. */
  readonly env: readonly string[];
  /** Milliseconds after which a program that does not end is killed. */
  readonly limit: number;
}

/**
 * Runs a program to see what it is, while everybody is served. Its standard output and error are collected.
 *
 * @param done called once, never before this function has returned
 */
export function probe(
  { sys, loop, ledger, env, limit }: ProbeParts,
  path: string,
  args: readonly string[],
  done: (result: ProbeResult) => void,
): void {
  const fail = (call: string, errno: number) =>
    loop.defer(() => done({ kind: "failed", reason: new SystemError(call, path, errno).message }));
  const pipe = sys.pipe();
  if (typeof pipe === "number") return fail("pipe", pipe);
  const [output, input] = pipe;
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  const child = nothing < 0 ? nothing : sys.spawn({
    path,
    argv: [path, ...args],
    env: lastingEnvironment(env).filter((entry) => !entry.startsWith("NOTIFY_SOCKET=")),
    descriptors: [nothing, input, input],
    blockedSignals: [],
    newSession: true,
  });
  sys.close(input);
  if (nothing >= 0) sys.close(nothing);
  if (child < 0) {
    sys.close(output);
    return fail("posix_spawn", child);
  }
  ledger.own(output, "probe");
  const bytes = new Uint8Array(MAX_OUTPUT);
  let length = 0;
  let timedOut = false;
  const timer: Timer = loop.after(limit, () => {
    timedOut = true;
    sys.kill(child, 9);
  });
  loop.add(output, EPOLLIN, () => {
    const count = sys.read(output, bytes.subarray(length));
    if (count === -EAGAIN) return;
    if (count > 0 && length + count < MAX_OUTPUT) {
      length += count;
      return;
    }
    // End of output: the child has ended, or closed it and is about to.
    timer.cancel();
    loop.remove(output);
    ledger.close(output);
    const status = new Int32Array(1);
    if (count > 0) sys.kill(child, 9);
    sys.waitChild(child, true, status);
    const ended = status[0] as number;
    if (timedOut) return done({ kind: "failed", reason: `it did not end within ${limit / 1000} s` });
    if ((ended & 0x7f) !== 0) {
      return done({ kind: "failed", reason: `it was killed by signal ${ended & 0x7f}` });
    }
    done({ kind: "ended", code: (ended >> 8) & 0xff, output: decodeText(bytes, 0, length) });
  });
}
