import { O_CLOEXEC, O_RDWR, SIGKILL } from "../../os/constants.ts";
import { EAGAIN } from "../../os/errno.ts";
import { type ProgramResult, resultOf } from "../../os/program_result.ts";
import { SystemError } from "../../os/system_error.ts";
import type { EventSys, FileSys, ProcessSys } from "../../os/sys.ts";
import { decodeText } from "../../os/text.ts";

/** How to start a program. */
export interface HelperCommand {
  readonly path: string;
  readonly argv: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
}

/** Most bytes that are kept of a program's output. */
const MAX_OUTPUT = 8192;

type RunSys =
  & Pick<FileSys, "open" | "close" | "read">
  & Pick<EventSys, "pipe" | "pollReadable" | "monotonic">
  & Pick<ProcessSys, "spawn" | "kill" | "waitChild">;

/**
 * Runs a program to its end and collects its standard output and error. Blocks: for a helper process.
 *
 * @param limit milliseconds after which it is killed
 */
export function runProgram(sys: RunSys, command: HelperCommand, limit: number): ProgramResult {
  const failed = (call: string, errno: number): ProgramResult => ({
    kind: "failed",
    reason: new SystemError(call, command.path, errno).message,
  });
  const pipe = sys.pipe();
  if (typeof pipe === "number") return failed("pipe", pipe);
  const [output, input] = pipe;
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  const child = nothing < 0
    ? nothing
    : sys.spawn({ ...command, descriptors: [nothing, input, input], blockedSignals: [], newSession: true });
  sys.close(input);
  if (nothing >= 0) sys.close(nothing);
  if (child < 0) {
    sys.close(output);
    return failed("posix_spawn", child);
  }
  const written = readOutput(sys, output, limit);
  sys.close(output);
  // It leads a session, and so a group, of its own: what it has started ends with it.
  if ("wrong" in written) sys.kill(-child, SIGKILL);
  const status = new Int32Array(1);
  const waited = sys.waitChild(child, true, status);
  if (waited < 0) return failed("waitpid", waited);
  if ("wrong" in written) return { kind: "failed", reason: written.wrong };
  return resultOf(status[0] as number, written.text);
}

/** What comes until the last writer has closed its end, or what is wrong with it. */
function readOutput(sys: RunSys, fd: number, limit: number): { text: string } | { wrong: string } {
  const deadline = sys.monotonic() + limit;
  const bytes = new Uint8Array(MAX_OUTPUT + 1);
  let length = 0;
  while (length <= MAX_OUTPUT) {
    const left = Math.ceil(deadline - sys.monotonic());
    if (left <= 0 || sys.pollReadable(fd, left) === 0) {
      return { wrong: `it did not end within ${limit / 1000} s` };
    }
    const count = sys.read(fd, bytes.subarray(length));
    if (count === -EAGAIN) continue;
    if (count <= 0) return { text: decodeText(bytes, 0, length) };
    length += count;
  }
  return { wrong: `it wrote more than ${MAX_OUTPUT} bytes` };
}
