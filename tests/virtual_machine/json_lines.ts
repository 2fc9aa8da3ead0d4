import { until } from "../support/until.ts";

/** What is said over a {@link JsonLines}: an object a line. */
export type JsonLine = Readonly<Record<string, unknown>>;

/** Pause between two looks at what has come, in ms. */
const EVERY = 20;

/** A socket of QEMU's, over which both sides say JSON, an object a line: its monitor, or an agent's. */
export class JsonLines implements Disposable {
  readonly #connection: Deno.UnixConn;
  readonly #said: JsonLine[] = [];

  private constructor(connection: Deno.UnixConn) {
    this.#connection = connection;
  }

  static async connect(path: string): Promise<JsonLines> {
    const lines = new JsonLines(await Deno.connect({ transport: "unix", path }));
    void lines.#read();
    return lines;
  }

  async say(line: JsonLine): Promise<void> {
    const bytes = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    for (let sent = 0; sent < bytes.length;) sent += await this.#connection.write(bytes.subarray(sent));
  }

  /**
   * Waits for a line, and forgets those before it.
   *
   * @param time in ms
   * @returns undefined when none comes in time
   */
  async next(isIt: (line: JsonLine) => boolean, time: number): Promise<JsonLine | undefined> {
    const end = performance.now() + time;
    return await until(
      "a line",
      () => {
        const at = this.#said.findIndex(isIt);
        if (at >= 0) return { line: this.#said.splice(0, at + 1).at(-1) };
        return performance.now() > end && { line: undefined };
      },
      time + EVERY * 100,
      EVERY,
    ).then(({ line }) => line);
  }

  [Symbol.dispose](): void {
    try {
      this.#connection.close();
    } catch (error) {
      // The other side has closed it.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #read(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65536);
    for (;;) {
      // A machine that is switched off ends the connection.
      const count = await this.#connection.read(buffer).catch(() => null);
      if (count === null) return;
      const lines = `${rest}${decoder.decode(buffer.subarray(0, count), { stream: true })}`.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
  }

  #take(line: string): void {
    try {
      this.#said.push(JSON.parse(line));
    } catch (error) {
      // An agent whose machine is reset stops in the middle of what it says.
      if (!(error instanceof SyntaxError)) throw error;
    }
  }
}
