/** A process that is told what to do by lines, and answers each by one. Disposing of it kills it. */
export class LineProcess implements AsyncDisposable {
  /** Settled when it has ended and its outputs are closed: with what it has said on standard error. */
  readonly ended: Promise<string>;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #waiting: PromiseWithResolvers<string>[] = [];
  #running = true;

  /**
   * Starts one.
   *
   * @param told called with each line; says whether it is no answer to what was asked
   */
  constructor(
    command: readonly string[],
    env: Readonly<Record<string, string>>,
    told: (line: string) => boolean = () => false,
  ) {
    const [program = "", ...args] = command;
    this.#child = new Deno.Command(program, {
      args,
      env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    this.ended = this.#end(told);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Whether it has not ended. */
  get running(): boolean {
    return this.#running;
  }

  /** Sends a line and waits for the answer. @throws Error when it ends before */
  async ask(line: string): Promise<string> {
    const waiting = Promise.withResolvers<string>();
    this.#waiting.push(waiting);
    if (!this.#running) this.#fail("");
    else await this.#input.write(new TextEncoder().encode(`${line}\n`)).catch(() => {});
    return await waiting.promise;
  }

  /** SIGKILL; waits for its end. @returns what it has said on standard error */
  async kill(): Promise<string> {
    if (this.#running) {
      try {
        this.#child.kill("SIGKILL");
      } catch (error) {
        // It has ended, only nobody has been told yet.
        if (!(error instanceof TypeError)) throw error;
      }
    }
    return await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #end(told: (line: string) => boolean): Promise<string> {
    const said = new Response(this.#child.stderr).text();
    let rest = "";
    for await (const chunk of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (!told(line)) this.#waiting.shift()?.resolve(line);
    }
    await this.#child.status;
    this.#running = false;
    const text = await said;
    await this.#input.abort().catch(() => {});
    this.#fail(text);
    return text;
  }

  #fail(text: string): void {
    const error = new Error(`Process ${this.pid} has ended: ${text.trim()}`);
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}
