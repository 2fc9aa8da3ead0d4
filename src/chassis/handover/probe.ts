import type { EventLoop } from "../event/event_loop.ts";
import { EPOLLIN, O_CLOEXEC, O_RDWR, SIGKILL } from "../../os/constants.ts";
import { EAGAIN } from "../../os/errno.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { type ProgramResult, resultOf } from "../../os/program_result.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";
import { lastingEnvironment } from "../start/self.ts";

const MAX_OUTPUT = 65536;

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

/** A program that runs. */
interface ProbeRun extends Pick<ProbeParts, "sys" | "loop" | "ledger"> {
  readonly child: number;
  readonly pidfd: number;
  /** Read end of its standard output and error. */
  readonly output: number;
  readonly done: (result: ProgramResult) => void;
}

/**
 * Runs a program to see what it is, while everybody is served. Its standard output and error are collected.
 *
 * @param argv begins with the name that the program is called by
 * @param done called once, never before this function has returned
 */
export function probe(
  { sys, loop, ledger, env, limit }: ProbeParts,
  path: string,
  argv: readonly string[],
  done: (result: ProgramResult) => void,
): void {
  const fail = (call: string, errno: number) =>
    loop.defer(() => done({ kind: "failed", reason: new SystemError(call, path, errno).message }));
  const pipe = sys.pipe();
  if (typeof pipe === "number") return fail("pipe", pipe);
  const [output, input] = pipe;
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  const child = nothing < 0 ? nothing : sys.spawn({
    path,
    argv,
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
  const pidfd = sys.pidfdOpen(child);
  if (pidfd < 0) {
    sys.kill(child, SIGKILL);
    sys.waitChild(child, true, new Int32Array(1));
    sys.close(output);
    return fail("pidfd_open", pidfd);
  }
  new Probe({ sys, loop, ledger, child, pidfd, output, done }).watch(limit);
}

/**
 * A program that is being probed: its end counts, not that of its output, which a child of its own may keep
 * open.
 */
class Probe {
  readonly #parts: ProbeRun;
  readonly #bytes = new Uint8Array(MAX_OUTPUT);
  #length = 0;
  #reading = true;
  /** Why it was killed, if it was. */
  #reason: string | undefined;
  #answered = false;

  constructor(parts: ProbeRun) {
    this.#parts = parts;
  }

  watch(limit: number): void {
    const { loop, ledger, pidfd, output } = this.#parts;
    ledger.own(output, "probe");
    ledger.own(pidfd, "probe");
    const timer = loop.after(limit, () => {
      this.#kill(`it did not end within ${limit / 1000} s`);
      // A program on storage that hangs cannot even be killed: nobody waits for that.
      this.#answer({ kind: "failed", reason: this.#reason ?? "" });
    });
    loop.add(output, EPOLLIN, () => this.#read());
    loop.add(pidfd, EPOLLIN, () => {
      timer.cancel();
      this.#ended();
    });
  }

  #read(): void {
    const { sys, output } = this.#parts;
    while (this.#reading) {
      const count = sys.read(output, this.#bytes.subarray(this.#length));
      if (count === -EAGAIN) return;
      if (count > 0) this.#length += count;
      if (count <= 0 || this.#length === MAX_OUTPUT) this.#stopReading();
    }
    if (this.#length === MAX_OUTPUT) this.#kill(`it wrote ${MAX_OUTPUT} bytes and more`);
  }

  #stopReading(): void {
    if (!this.#reading) return;
    const { loop, ledger, output } = this.#parts;
    this.#reading = false;
    loop.remove(output);
    ledger.close(output);
  }

  #kill(reason: string): void {
    const { sys, child } = this.#parts;
    this.#reason ??= reason;
    // It leads a session, and so a group, of its own.
    sys.kill(-child, SIGKILL);
  }

  #ended(): void {
    const { sys, loop, ledger, child, pidfd } = this.#parts;
    this.#read();
    this.#stopReading();
    loop.remove(pidfd);
    ledger.close(pidfd);
    const status = new Int32Array(1);
    sys.waitChild(child, true, status);
    if (this.#reason !== undefined) return this.#answer({ kind: "failed", reason: this.#reason });
    this.#answer(resultOf(status[0] as number, decodeText(this.#bytes, 0, this.#length)));
  }

  #answer(result: ProgramResult): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#parts.done(result);
  }
}
