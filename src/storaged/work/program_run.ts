import type { EventLoop } from "../../chassis/event/event_loop.ts";
import { EPOLLIN, F_SETFL, O_CLOEXEC, O_RDWR, O_WRONLY } from "../../os/constants.ts";
import { EAGAIN, ENOENT } from "../../os/errno.ts";
import { endingOf } from "../../os/program_result.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";
import { killTree } from "./program_tree.ts";

/** Most bytes that are kept of each of a program's outputs. */
const MAX_OUTPUT = 4 << 20;

/** A program to be run. */
export interface ProgramRequest {
  /** Name or path, and arguments. A name is looked for in the usual system directories. */
  readonly argv: readonly string[];
  /** Milliseconds after which it is killed, and up to which it is waited for; undefined: never. */
  readonly limit?: number;
  /**
   * "undo": it takes back what was begun, and so runs to its end also when nobody wants the result any more.
   * It is killed all the same when the daemon is gone.
   */
  readonly purpose?: "undo";
  /** Descriptors of the program from 3 on. */
  readonly descriptors?: readonly number[];
  /** What it may use; undefined: as much as the helper. */
  readonly limits?: ProgramLimits;
  /** Told of what it writes to its standard output, as it comes. */
  readonly output?: (text: string) => void;
  /** Called when it has written anything. */
  readonly heard?: () => void;
}

/** What a program may use that reads what others have written. */
export interface ProgramLimits {
  /** Bytes of its address space. */
  readonly memory: number;
  /** Seconds of CPU time, after which the kernel ends it. */
  readonly processor: number;
}

/** How a program ended. */
export type ProgramEnd =
  | { readonly kind: "exited"; readonly code: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "killed"; readonly signal: number; readonly stderr: string }
  /** There is no such program. */
  | { readonly kind: "missing"; readonly program: string }
  /** It could not be started, ran too long or wrote too much. */
  | { readonly kind: "failed"; readonly reason: string };

/** Where programs are looked for; the daemon's own PATH is not asked, which somebody may have changed. */
const DIRECTORIES = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Programs speak English and are not told of the daemon's sockets. */
const ENVIRONMENT = ["LC_ALL=C", "LANG=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/"];

/** Path of a program; undefined where it is not installed. */
export function findProgram(sys: Pick<Sys, "access">, name: string): string | undefined {
  if (name.includes("/")) return sys.access(name, 1) === 0 ? name : undefined;
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => sys.access(path, 1) === 0);
}

/** Sets limits and becomes the program; of util-linux, as mount(8) is. */
const LIMITER = "prlimit";

function limitOptions({ memory, processor }: ProgramLimits): string[] {
  return [`--as=${memory}`, `--cpu=${processor}`, "--core=0", "--"];
}

/** One of the two outputs of a program. */
class Output {
  readonly fd: number;
  readonly #sys: Sys;
  readonly #told: (text: string) => void;
  #bytes = new Uint8Array(4096);
  #length = 0;
  #open = true;

  constructor(sys: Sys, fd: number, told: (text: string) => void) {
    this.#sys = sys;
    this.fd = fd;
    this.#told = told;
  }

  get text(): string {
    return decodeText(this.#bytes, 0, this.#length);
  }

  /** Whether it has written more than is kept. */
  get full(): boolean {
    return this.#length >= MAX_OUTPUT;
  }

  /** Takes what is there. */
  read(loop: EventLoop): void {
    while (this.#open && !this.full) {
      if (this.#length === this.#bytes.length) {
        this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(this.#bytes.length * 2));
      }
      const count = this.#sys.read(this.fd, this.#bytes.subarray(this.#length));
      if (count === -EAGAIN) return;
      if (count <= 0) return this.close(loop);
      this.#told(decodeText(this.#bytes, this.#length, this.#length + count));
      this.#length += count;
    }
  }

  close(loop: EventLoop): void {
    if (!this.#open) return;
    this.#open = false;
    loop.remove(this.fd);
    this.#sys.close(this.fd);
  }
}

/**
 * Runs a program to its end while the loop goes on with what else it watches. For a helper process: the
 * caller waits.
 *
 * @param between called whenever the loop has turned; when it throws the program is killed, and the error
 *   goes on to the caller once that is dead
 */
export function runProgram(
  sys: Sys,
  loop: EventLoop,
  { argv, limit, descriptors = [], limits, output = () => {}, heard = () => {} }: ProgramRequest,
  between: () => void,
): ProgramEnd {
  const [name = ""] = argv;
  const path = findProgram(sys, name);
  if (path === undefined) return { kind: "missing", program: name };
  const limiter = limits === undefined ? path : findProgram(sys, LIMITER);
  if (limiter === undefined) return { kind: "missing", program: LIMITER };
  const command = [path, ...argv.slice(1)];
  const failed = (call: string, errno: number): ProgramEnd => ({
    kind: "failed",
    reason: new SystemError(call, path, errno).message,
  });
  const out = sys.pipe();
  if (typeof out === "number") return failed("pipe", out);
  const err = sys.pipe();
  if (typeof err === "number") {
    for (const fd of out) sys.close(fd);
    return failed("pipe", err);
  }
  // Programs do not expect that a pipe takes less than they write.
  for (const fd of [out[1], err[1]]) sys.fcntl(fd, F_SETFL, O_WRONLY);
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  const child = nothing < 0 ? nothing : sys.spawn({
    path: limiter,
    argv: limits === undefined ? command : [limiter, ...limitOptions(limits), ...command],
    env: ENVIRONMENT,
    descriptors: [nothing, out[1], err[1], ...descriptors],
    blockedSignals: [],
    // It stays in the helper's group, so that whoever has to kill the helper kills it too.
    newSession: false,
  });
  sys.close(out[1]);
  sys.close(err[1]);
  if (nothing >= 0) sys.close(nothing);
  const said = (text: string) => {
    heard();
    output(text);
  };
  const outputs = [new Output(sys, out[0], said), new Output(sys, err[0], heard)] as const;
  const pidfd = child < 0 ? -1 : sys.pidfdOpen(child);
  if (child < 0 || pidfd < 0) {
    if (child >= 0) {
      killTree(sys, child);
      reap(sys, child);
    }
    for (const each of outputs) each.close(loop);
    return child === -ENOENT
      ? { kind: "missing", program: name }
      : failed(child < 0 ? "posix_spawn" : "pidfd_open", Math.min(child, pidfd));
  }
  const wrong = watch(sys, loop, pidfd, outputs, limit, between, () => {
    killTree(sys, child);
    reap(sys, child);
  });
  const [stdout, stderr] = outputs;
  if (wrong !== undefined) return { kind: "failed", reason: `${path}: ${wrong}` };
  const ending = endingOf(reap(sys, child));
  return ending.kind === "killed"
    ? { ...ending, stderr: stderr.text }
    : { ...ending, stdout: stdout.text, stderr: stderr.text };
}

/** Waits for the program's end. @returns what was wrong with it; it has been killed then */
function watch(
  sys: Sys,
  loop: EventLoop,
  pidfd: number,
  outputs: readonly Output[],
  limit: number | undefined,
  between: () => void,
  kill: () => void,
): string | undefined {
  let ended = false;
  let late = false;
  const timer = limit === undefined ? undefined : loop.after(limit, () => void (late = true));
  loop.add(pidfd, EPOLLIN, () => void (ended = true));
  for (const output of outputs) loop.add(output.fd, EPOLLIN, () => output.read(loop));
  try {
    while (!ended) {
      loop.turn(-1);
      between();
      const full = outputs.some((output) => output.full);
      if (!ended && (late || full)) {
        kill();
        return late ? `it did not end within ${(limit ?? 0) / 1000} s` : "it wrote too much";
      }
    }
    for (const output of outputs) output.read(loop);
    return undefined;
  } catch (error) {
    if (!ended) kill();
    throw error;
  } finally {
    timer?.cancel();
    loop.remove(pidfd);
    sys.close(pidfd);
    for (const output of outputs) output.close(loop);
  }
}

/** Waits for a child that has ended or is killed. @returns its wait status */
function reap(sys: Sys, child: number): number {
  const status = new Int32Array(1);
  sys.waitChild(child, true, status);
  return status[0] as number;
}
