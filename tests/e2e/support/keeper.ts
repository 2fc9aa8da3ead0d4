/**
 * A root shell script in a mount namespace of its own, which sets something up, says a line, waits for the
 * end of its standard input and then takes everything down again: also after a test run that was killed.
 */
export class Keeper implements AsyncDisposable {
  /** The line that it said once all was set up. */
  readonly said: string;
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess, said: string) {
    this.#child = child;
    this.said = said;
  }

  /**
   * Starts the script and waits for its line.
   *
   * @throws Error when the script ends without one
   */
  static async start(script: string, args: readonly string[]): Promise<Keeper> {
    const namespace = ["unshare", "--mount", "--propagation", "private"];
    const child = new Deno.Command("sh", {
      // Deno kills its children when it ends by an uncaught error. The outer shell takes that blow.
      args: ["-c", '"$@"; exit $?', "sh", ...namespace, "sh", "-c", script, "sh", ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    while (!said.includes("\n")) {
      const { value } = await reader.read();
      if (value === undefined) {
        await child.stdin.close();
        const { code } = await child.status;
        throw new Error(`Set up a namespace for tests: its script ended with exit code ${code}`);
      }
      said += value;
    }
    await reader.cancel();
    return new Keeper(child, said.slice(0, said.indexOf("\n")));
  }

  /** Has everything taken down and waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
  }
}
