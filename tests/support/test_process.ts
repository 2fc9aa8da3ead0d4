import { PATIENCE_MS } from "./until.ts";

/** Text kept of each of a process's outputs, in characters; older text is dropped. */
const KEPT = 1 << 20;

/** How a process ended. */
export interface Ended {
  /** Exit code; 128 + the signal's number when a signal ended it. */
  readonly code: number;
  readonly signal: Deno.Signal | null;
}

/** The last part of what a process wrote to one output, growing as it writes. */
export class Capture {
  /** Settled when the output is closed. */
  readonly closed: Promise<void>;
  #text = "";
  readonly #watchers = new Set<() => void>();

  constructor(stream: ReadableStream<Uint8Array>) {
    this.closed = this.#read(stream);
  }

  /** What was written so far. */
  get text(): string {
    return this.#text;
  }

  /**
   * Waits until the text matches; at once when it does.
   *
   * @throws Error with the text when the output is closed or the time, in ms, is up before
   */
  async match(pattern: RegExp, timeout = PATIENCE_MS): Promise<RegExpExecArray> {
    const { promise, resolve, reject } = Promise.withResolvers<RegExpExecArray>();
    const look = () => {
      const found = pattern.exec(this.#text);
      if (found !== null) resolve(found);
    };
    const fail = (why: string) => reject(new Error(`Wait for ${pattern}: ${why}; output:\n${this.#text}`));
    const timer = setTimeout(() => fail(`not within ${timeout} ms`), timeout);
    this.#watchers.add(look);
    look();
    // Let a match in the last chunk win.
    this.closed.then(() => fail("the output was closed before"));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }

  async #read(stream: ReadableStream<Uint8Array>): Promise<void> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      this.#text = (this.#text + chunk).slice(-KEPT);
      for (const look of this.#watchers) look();
    }
  }
}

/** A process under test. Disposing of it kills it. */
export class TestProcess implements AsyncDisposable {
  readonly stdout: Capture;
  readonly stderr: Capture;
  /** Settled when it has ended and its outputs are closed. */
  readonly ended: Promise<Ended>;
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #running = true;

  /**
   * Starts a program.
   *
   * @param command program and arguments
   * @param env its whole environment
   * @param cwd its working directory
   * @param stdin "piped" for one that {@link send} writes to
   */
  constructor(
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    cwd: string,
    stdin: "null" | "piped" = "null",
  ) {
    const [program = "", ...args] = command;
    this.#child = new Deno.Command(program, {
      args,
      env,
      cwd,
      clearEnv: true,
      stdin,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#stdin = stdin === "piped" ? this.#child.stdin.getWriter() : undefined;
    this.stdout = new Capture(this.#child.stdout);
    this.stderr = new Capture(this.#child.stderr);
    this.ended = this.#end();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it has not ended. */
  get running(): boolean {
    return this.#running;
  }

  /** Sends a signal. Harmless when it has ended. */
  signal(signal: Deno.Signal): void {
    try {
      if (this.#running) this.#child.kill(signal);
    } catch (error) {
      // It has ended, only nobody has been told yet.
      if (!(error instanceof TypeError)) throw error;
    }
  }

  /** Writes to its standard input. @throws Error when that is not piped, or it has ended */
  async send(text: string): Promise<void> {
    if (this.#stdin === undefined) throw new Error(`Write to process ${this.pid}: its input is not piped`);
    await this.#stdin.write(new TextEncoder().encode(text));
  }

  /**
   * Waits for its end.
   *
   * @throws Error with its standard error when it has not ended after so many ms; it is killed then
   */
  async wait(timeout = PATIENCE_MS): Promise<Ended> {
    const late = Promise.withResolvers<undefined>();
    const timer = setTimeout(() => late.resolve(undefined), timeout);
    try {
      const ended = await Promise.race([this.ended, late.promise]);
      if (ended !== undefined) return ended;
      await this.kill();
      throw new Error(`Process ${this.pid} had not ended after ${timeout} ms:\n${this.stderr.text}`);
    } finally {
      clearTimeout(timer);
    }
  }

  /** SIGKILL, and waits for its end. Harmless when it has ended. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(): Promise<Ended> {
    const { code, signal } = await this.#child.status;
    this.#running = false;
    await this.#stdin?.abort();
    await Promise.all([this.stdout.closed, this.stderr.closed]);
    return { code, signal };
  }
}
