import { O_CREAT, O_RDONLY, O_WRONLY, SOCK_STREAM } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { kernel } from "./kernel.ts";
import type { Place } from "./place.ts";
import { until } from "./until.ts";
import { testProgram } from "./programs.ts";

const MAIN = testProgram(new URL("./virtlockd_main.ts", import.meta.url));

/**
 * A daemon that gets its listening sockets from the test, as systemd hands them over. Disposing of it kills
 * it.
 */
export class ActivatedDaemon implements Disposable {
  readonly pid: number;
  readonly #logFile: string;
  #code: number | undefined;

  /**
   * @param paths sockets that are made, listened on and handed over in this order
   * @param env added to the place's environment; LISTEN_FDNAMES in it goes with the sockets
   * @param args arguments of the daemon
   * @param listenPid value of LISTEN_PID; the daemon's own pid by default
   */
  constructor(
    place: Place,
    paths: readonly string[],
    env: Readonly<Record<string, string>> = {},
    listenPid = "$$",
    args: readonly string[] = ["-v"],
  ) {
    this.#logFile = `${place.directory}/activated.log`;
    const input = must(kernel.open("/dev/null", O_RDONLY, 0), "open", "/dev/null");
    const output = must(kernel.open(this.#logFile, O_WRONLY | O_CREAT, 0o600), "open", this.#logFile);
    const sockets = paths.map(listen);
    const script = `LISTEN_PID=${listenPid} exec "$@"`;
    const program = [Deno.execPath(), "run", "-A", MAIN, ...args];
    const whole = { ...place.env, LISTEN_FDS: String(sockets.length), ...env };
    this.pid = must(
      kernel.spawn({
        path: "/usr/bin/env",
        argv: ["env", ...place.command(["sh", "-c", script, "sh", ...program])],
        env: Object.entries(whole).map((pair) => pair.join("=")),
        descriptors: [input, output, output, ...sockets],
        blockedSignals: [],
        newSession: false,
      }),
      "posix_spawn",
      "daemon",
    );
    for (const fd of [input, output, ...sockets]) kernel.close(fd);
  }

  /** What it has logged. */
  get log(): string {
    return Deno.readTextFileSync(this.#logFile);
  }

  signal(signal: Deno.Signal): void {
    Deno.kill(this.pid, signal);
  }

  /** Waits for its end. @returns its exit code, 128 + the signal's number for a signal */
  async wait(): Promise<number> {
    await until("the daemon to end", () => this.#reaped());
    return this.#code ?? -1;
  }

  /** SIGTERM, and waits. @returns its exit code */
  async stop(): Promise<number> {
    this.signal("SIGTERM");
    return await this.wait();
  }

  [Symbol.dispose](): void {
    if (this.#reaped()) return;
    kernel.kill(this.pid, 9);
    kernel.waitChild(this.pid, true, new Int32Array(1));
  }

  #reaped(): boolean {
    const status = new Int32Array(1);
    if (this.#code === undefined && kernel.waitChild(this.pid, false, status) === this.pid) {
      const [ended = 0] = status;
      this.#code = (ended & 0x7f) === 0 ? (ended >> 8) & 0xff : 128 + (ended & 0x7f);
    }
    return this.#code !== undefined;
  }
}

function listen(path: string): number {
  const fd = must(kernel.socket(SOCK_STREAM, false), "socket", path);
  must(kernel.bind(fd, path), "bind", path);
  must(kernel.listen(fd, 10), "listen", path);
  return fd;
}
