import type { Sys } from "../../src/os/sys.ts";
import { must } from "../../src/os/system_error.ts";
import type { Place } from "./place.ts";
import { TestProcess } from "./test_process.ts";
import { testProgram } from "./programs.ts";

const MAIN = testProgram(new URL("./puppet_main.ts", import.meta.url));

/**
 * Where the runtime can have no caches. It would have them open for writing, and whoever writes files counts
 * as a guest that writes disks.
 */
const NO_CACHE = "/dev/null/none";

/** A process that makes system calls as it is told to. Disposing of it kills it. */
export class Puppet implements AsyncDisposable {
  readonly process: TestProcess;
  readonly place: Place;
  #number = 0;

  private constructor(place: Place, process: TestProcess) {
    this.place = place;
    this.process = process;
  }

  /**
   * Starts one as the user of a place.
   *
   * @param env added to the place's environment
   * @param launcher command that runs it as its last arguments
   */
  static start(
    place: Place,
    env: Readonly<Record<string, string>> = {},
    launcher: readonly string[] = [],
  ): Puppet {
    const command = place.command([...launcher, Deno.execPath(), "run", "-A", MAIN]);
    const own = { ...place.env, DENO_DIR: NO_CACHE, ...env };
    return new Puppet(place, new TestProcess(command, own, place.directory, "piped"));
  }

  get pid(): number {
    return this.process.pid;
  }

  /** Makes a call that returns a number. @throws SystemError when it fails */
  async call(method: keyof Sys, ...args: readonly unknown[]): Promise<number> {
    return must(Number(await this.ask(method, ...args)), method, `puppet ${this.pid}`);
  }

  /** Makes a call and tells what it returned, -errno too. */
  async ask(method: keyof Sys | "receive", ...args: readonly unknown[]): Promise<unknown> {
    const number = this.#number++;
    await this.#send(number, method, args);
    const [, result = ""] = await this.process.stdout.match(new RegExp(`^${number} (.*)\\n`, "m"));
    return JSON.parse(result);
  }

  /** Has it make a call, and does not wait for what comes of it: it may be killed before it can tell. */
  async tell(method: keyof Sys, ...args: readonly unknown[]): Promise<void> {
    await this.#send(this.#number++, method, args);
  }

  /** Has it replace itself by another program. Nothing can be asked of it any more. */
  async execute(path: string, argv: readonly string[], env: readonly string[]): Promise<void> {
    await this.tell("execve", path, argv, env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }

  async #send(number: number, method: string, args: readonly unknown[]): Promise<void> {
    const encoded = args.map((arg) => arg instanceof Uint8Array ? { base64: arg.toBase64() } : arg);
    await this.process.send(`${JSON.stringify([number, method, ...encoded])}\n`);
  }
}
