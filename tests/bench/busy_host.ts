import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Programs that want the CPU all the time, as the guests of a busy hypervisor do. */
export class BusyHost implements AsyncDisposable {
  readonly #loops: readonly ChildProcess[];

  /** @param loops how many endless loops run until this is disposed of */
  constructor(loops: number) {
    const script = "while :; do :; done";
    this.#loops = Array.from({ length: loops }, () => spawn("sh", ["-c", script], { stdio: "ignore" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const loop of this.#loops) {
      const ended = once(loop, "exit");
      loop.kill("SIGKILL");
      await ended;
    }
  }
}
