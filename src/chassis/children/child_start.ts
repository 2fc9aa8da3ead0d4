import { F_SETFL, O_CLOEXEC, O_RDWR, O_WRONLY, SIGKILL } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";

/** A program to be run. */
export interface ChildCommand {
  readonly path: string;
  /** Begins with the name that it is called by. */
  readonly argv: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
  /** Become its descriptors from 3 on; they stay the caller's. */
  readonly descriptors?: readonly number[];
}

/**
 * Whom a child belongs to. `own`: it leads a session, and so a group, that ends with it. `caller`: it stays
 * in this process's group, so that whoever kills that kills it too.
 */
export type ChildGroup = "own" | "caller";

/** A child that runs. Its descriptors belong to whoever gets this. */
export interface StartedChild {
  readonly pid: number;
  readonly pidfd: number;
  /** Read ends, non-blocking: of both its outputs in one, or of its standard output and its errors. */
  readonly outputs: readonly number[];
}

type StartSys = Pick<
  Sys,
  "pipe" | "fcntl" | "open" | "close" | "spawn" | "pidfdOpen" | "kill" | "waitChild"
>;

/**
 * Starts a program with nothing on its standard input, and no signal blocked.
 *
 * @param apart whether its two outputs are kept apart
 * @returns why it could not be started; nothing of it is left then
 */
export function startChild(
  sys: StartSys,
  { path, argv, env, descriptors = [] }: ChildCommand,
  group: ChildGroup,
  apart: boolean,
): StartedChild | SystemError {
  const opened: number[] = [];
  const failed = (call: string, errno: number) => {
    for (const fd of opened) sys.close(fd);
    return new SystemError(call, path, errno);
  };
  const inputs: number[] = [];
  const outputs: number[] = [];
  for (let count = apart ? 2 : 1; count > 0; count--) {
    const pipe = sys.pipe();
    if (typeof pipe === "number") return failed("pipe", pipe);
    opened.push(...pipe);
    outputs.push(pipe[0]);
    inputs.push(pipe[1]);
    // Programs do not expect that a pipe takes less than they write.
    sys.fcntl(pipe[1], F_SETFL, O_WRONLY);
  }
  const [output = -1, errors = output] = inputs;
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  const pid = nothing < 0 ? nothing : sys.spawn({
    path,
    argv,
    env,
    descriptors: [nothing, output, errors, ...descriptors],
    blockedSignals: [],
    newSession: group === "own",
  });
  if (nothing >= 0) sys.close(nothing);
  if (pid < 0) return failed("posix_spawn", pid);
  const pidfd = sys.pidfdOpen(pid);
  if (pidfd < 0) {
    sys.kill(pid, SIGKILL);
    sys.waitChild(pid, true, new Int32Array(1));
    return failed("pidfd_open", pidfd);
  }
  for (const fd of inputs) sys.close(fd);
  return { pid, pidfd, outputs };
}
