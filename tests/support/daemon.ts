import { Place } from "./place.ts";
import { type Capture, type Ended, TestProcess } from "./test_process.ts";
import { testProgram } from "./programs.ts";
import { shielded } from "./shielded.ts";
import { PATIENCE_MS } from "./until.ts";

const MAIN = testProgram(new URL("./virtlockd_main.ts", import.meta.url));
const LOOK_EVERY = 5;
/** How long a command may take, in ms: some wait for other hosts, as long as they are told to. */
const COMMAND_MS = 600_000;

/** How to start a program. */
export interface ProgramOptions {
  readonly args?: readonly string[];
  /** Added to the place's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A place of the caller's, who disposes of it after the daemon; undefined for one of its own. */
  readonly place?: Place;
  /** Main module that is run instead of the real one, e.g. with faults in it. */
  readonly entry?: string | URL;
  /**
   * Command that runs the program as its last arguments, e.g. with limits. It has to exec it: the process is
   * the daemon's.
   */
  readonly launcher?: readonly string[];
  /** Executable that is run instead of the sources; see {@link writeProgram}. */
  readonly program?: string;
}

/** How a program ended, and what it said. */
export interface Output extends Ended {
  readonly stdout: string;
  readonly stderr: string;
}

/** A daemon in a place of its own. Disposing of it kills it. */
export class Daemon implements AsyncDisposable {
  readonly place: Place;
  readonly #process: TestProcess;
  readonly #ownsPlace: boolean;

  private constructor(place: Place, process: TestProcess, ownsPlace: boolean) {
    this.place = place;
    this.#process = process;
    this.#ownsPlace = ownsPlace;
  }

  /**
   * Starts a daemon in the foreground and waits until both its sockets listen. It has accepted nobody then.
   *
   * @throws Error with its log when it ends, or does not listen in time
   */
  static async start(options: ProgramOptions = {}): Promise<Daemon> {
    const place = options.place ?? Place.create();
    const process = start(place, options, "daemon");
    const daemon = new Daemon(place, process, options.place === undefined);
    try {
      await daemon.#untilListening();
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A daemon that somebody else has started, in a place that outlives it. It may not be listening yet. */
  static of(place: Place, process: TestProcess): Daemon {
    return new Daemon(place, process, false);
  }

  /** Runs the program to its end: a start that fails, or a command. */
  static async run(options: ProgramOptions): Promise<Output> {
    using own = options.place === undefined ? Place.create() : undefined;
    const place = options.place ?? own;
    if (place === undefined) throw new Error("Run program: no place");
    await using process = start(place, options, "command");
    const ended = await process.wait(COMMAND_MS);
    return { ...ended, stdout: process.stdout.text, stderr: process.stderr.text };
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Path of the socket for libvirt. */
  get socket(): string {
    return this.place.paths.socket;
  }

  /** Path of the admin socket. */
  get adminSocket(): string {
    return this.place.paths.adminSocket;
  }

  /** Its standard error, where it logs everything unless the options or the environment say otherwise. */
  get log(): Capture {
    return this.#process.stderr;
  }

  /** Whether it has not ended. */
  get running(): boolean {
    return this.#process.running;
  }

  /** Settled when it has ended. */
  get ended(): Promise<Ended> {
    return this.#process.ended;
  }

  signal(signal: Deno.Signal): void {
    this.#process.signal(signal);
  }

  /** Asks it to stop and waits for its end. @returns its exit code. @throws Error when it does not end */
  async stop(): Promise<number> {
    this.signal("SIGTERM");
    return (await this.#process.wait()).code;
  }

  /** SIGKILL, and waits for its end. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  /** Waits for its end by itself. @throws Error when it has not ended after so many ms; it is killed then */
  async wait(timeout?: number): Promise<Ended> {
    return await this.#process.wait(timeout);
  }

  /** Runs one of the program's commands beside the daemon, e.g. `["locks", "--json"]`, to its end. */
  async command(...args: string[]): Promise<Output> {
    return await Daemon.run({ args, place: this.place });
  }

  /** Starts one of the program's commands that goes on until it is stopped. The caller disposes of it. */
  startCommand(...args: string[]): TestProcess {
    return start(this.place, { args }, "command");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#ownsPlace) this.place[Symbol.dispose]();
  }

  async #untilListening(): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    // Connecting would show as a client; the kernel's table of sockets can be read without being seen.
    while (!isListening(this.socket) || !isListening(this.adminSocket)) {
      const late = performance.now() > end;
      if (!this.running || late) {
        const why = late ? `it did not listen within ${PATIENCE_MS} ms` : "it ended";
        await this.kill();
        throw new Error(`Start daemon: ${why}; its log:\n${this.log.text}`);
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY));
    }
  }
}

/** The command that runs the program from the sources. */
export function programCommand(...args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "-A", MAIN, ...args];
}

function start(
  place: Place,
  { args = [], env = {}, entry = MAIN, launcher = [], program }: ProgramOptions,
  kind: "daemon" | "command",
): TestProcess {
  const file = entry instanceof URL ? entry.pathname : entry;
  const runtime = [Deno.execPath(), "run", "-A", file];
  const executable = program !== undefined ? [program] : kind === "daemon" ? shielded(runtime) : runtime;
  const command = place.command([...launcher, ...executable, ...args]);
  return new TestProcess(command, { ...place.env, ...env }, place.directory);
}

/** Whether a Unix socket listens at a path (proc_net_unix: the flag of a socket that accepts). */
export function isListening(path: string): boolean {
  const table = Deno.readTextFileSync("/proc/net/unix").split("\n");
  return table.some((line) => line.endsWith(` ${path}`) && line.split(" ")[3] === "00010000");
}
