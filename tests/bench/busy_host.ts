import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** Programs that want the CPU all the time, as the guests of a busy hypervisor do. */
export class BusyHost implements AsyncDisposable {
  readonly #loops: readonly ChildProcess[];

  /**
   * Starts endless loops, which run until this is disposed of.
   *
   * @param cpus one loop for each, undefined: wherever the scheduler puts it
   */
  constructor(cpus: readonly (number | undefined)[]) {
    const loop = ["sh", "-c", "while :; do :; done"];
    this.#loops = cpus.map((cpu) => {
      const command = cpu === undefined ? loop : ["taskset", "--cpu-list", String(cpu), ...loop];
      const [program = "", ...args] = command;
      return spawn(program, args, { stdio: "ignore" });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const loop of this.#loops) {
      const ended = once(loop, "exit");
      loop.kill("SIGKILL");
      await ended;
    }
  }
}
