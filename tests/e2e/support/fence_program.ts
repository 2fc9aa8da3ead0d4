import { safeParent } from "../../support/safe_directory.ts";

/** A program that fences, written by a test: a shell script, and what it notes. */
export class FenceProgram implements Disposable {
  readonly #directory: string;
  readonly path: string;

  /**
   * @param script what it does after it has noted that it was called
   * @param interpreter of the script
   */
  constructor(script: string, interpreter = "/bin/sh") {
    const parent = safeParent();
    if (parent === undefined) throw new Error("There is no directory that nobody else may write");
    this.#directory = Deno.makeTempDirSync({ dir: parent, prefix: "virtlockd-fence-" });
    this.path = `${this.#directory}/fence`;
    this.write(script, interpreter);
  }

  /** It does something else from now on. */
  write(script: string, interpreter = "/bin/sh"): void {
    const note =
      `echo "$1 $2 $VIRTLOCKD_FENCE_DATA" >> ${this.#directory}/calls\nenv > ${this.#directory}/env\n`;
    Deno.writeTextFileSync(this.path, `#!${interpreter}\n${note}${script}\n`);
    Deno.chmodSync(this.path, 0o755);
  }

  /** How it was called: a line of name, id and data for each time. */
  get calls(): readonly string[] {
    return this.#read("calls").split("\n").filter((line) => line !== "");
  }

  /** The variables that it got last. */
  get variables(): ReadonlyMap<string, string> {
    const lines = this.#read("env").split("\n").map((line) => /^(VIRTLOCKD_FENCE_[A-Z]+)=(.*)$/.exec(line));
    return new Map(lines.flatMap((line) => line === null ? [] : [[line[1] ?? "", line[2] ?? ""]]));
  }

  /** Whether a file of its own is there, which its script makes: `$(dirname $0)/NAME`. */
  has(name: string): boolean {
    return this.#read(name) !== "";
  }

  /** Makes the file `go` in its directory, which its script may wait for. */
  letGo(): void {
    Deno.writeTextFileSync(`${this.#directory}/go`, "");
  }

  #read(name: string): string {
    try {
      return Deno.readTextFileSync(`${this.#directory}/${name}`);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    }
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.#directory, { recursive: true });
  }
}
