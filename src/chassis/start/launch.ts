import { O_CLOEXEC, O_RDWR } from "../../os/constants.ts";
import { EINTR } from "../../os/errno.ts";
import { endingOf } from "../../os/program_result.ts";
import type { Sys } from "../../os/sys.ts";
import { must } from "../../os/system_error.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import { DAEMON_SIGNALS } from "./signals.ts";
import { lastingEnvironment, type SelfImage } from "./self.ts";
import { ExitCode, StartError } from "./start_error.ts";

/** Names the descriptor on which a background daemon tells its starter how the start went. */
export const READY_VARIABLE = "DAEMON_READY_FD";
const READY_DESCRIPTOR = 3;

/**
 * Starts the daemon in the background (-d): a new process in a session of its own. Forking is not safe in
 * this runtime.
 *
 * Returns once the daemon accepts connections. This process can be interrupted meanwhile: whoever waits for
 * the start may still give up.
 *
 * @throws StartError with the daemon's own reason and code when it does not start
 */
export function launchInBackground(sys: Sys, self: SelfImage): void {
  must(sys.unblockSignals(DAEMON_SIGNALS), "pthread_sigmask", "start");
  const pipe = sys.pipe();
  if (typeof pipe === "number") {
    throw new StartError(ExitCode.INITIALISATION, "Make a pipe: too few descriptors");
  }
  const [readEnd, writeEnd] = pipe;
  const nothing = must(sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0), "open", "/dev/null");
  const pid = must(
    sys.spawn({
      path: self.path,
      argv: self.argv,
      env: [...lastingEnvironment(self.env), `${READY_VARIABLE}=${READY_DESCRIPTOR}`],
      descriptors: [nothing, nothing, nothing, writeEnd],
      // With its signals blocked from the first instruction on, it need not exec itself once more.
      blockedSignals: DAEMON_SIGNALS,
      newSession: true,
    }),
    "posix_spawn",
    self.path,
  );
  sys.close(writeEnd);
  sys.close(nothing);
  const report = readReport(sys, readEnd);
  sys.close(readEnd);
  if (report === "ready") return;
  const status = new Int32Array(1);
  must(sys.waitChild(pid, true, status), "waitpid", `daemon ${pid}`);
  const [, code, reason] = /^(\d+) ([^]*)$/.exec(report) ?? [];
  if (reason !== undefined) throw new StartError(Number(code), reason);
  const ending = endingOf(status[0] as number);
  throw ending.kind === "killed"
    ? new StartError(
      ExitCode.INITIALISATION,
      `The daemon was killed by signal ${ending.signal} while it started`,
    )
    : new StartError(ending.code || ExitCode.INITIALISATION, "The daemon ended while it started");
}

function readReport(sys: Sys, fd: number): string {
  const bytes = new Uint8Array(65536);
  let length = 0;
  for (;;) {
    const ready = sys.pollReadable(fd, -1);
    if (ready === -EINTR) continue;
    must(ready, "poll", "start report");
    const count = must(sys.read(fd, bytes.subarray(length)), "read", "start report");
    if (count === 0) return decodeText(bytes, 0, length);
    length += count;
  }
}

/** Tells the starter of a background daemon how the start went, once. */
export class StartReport {
  readonly #sys: Sys;
  #fd: number | undefined;

  /** @param fd the pipe's write end, owned from now on; undefined in the foreground */
  constructor(sys: Sys, fd: number | undefined) {
    this.#sys = sys;
    this.#fd = fd;
  }

  /** Whether somebody waits for the report. */
  get awaited(): boolean {
    return this.#fd !== undefined;
  }

  ready(): void {
    this.#send("ready");
  }

  failed(error: StartError): void {
    this.#send(`${error.code} ${error.message}`);
  }

  #send(text: string): void {
    if (this.#fd === undefined) return;
    const fd = this.#fd;
    this.#fd = undefined;
    // A starter that was interrupted does not stop the daemon.
    this.#sys.write(fd, encodeText(text));
    this.#sys.close(fd);
  }
}
