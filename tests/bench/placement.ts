import { execFileSync } from "node:child_process";

/**
 * Which CPUs the load process and the daemons run on.
 *
 * Left alone, the scheduler puts a client and its daemon on one CPU in one run and on two in the next, which
 * makes a difference of factor two to either daemon. Kept apart, every request wakes another CPU.
 */
export class Placement {
  readonly #load: string | undefined;
  readonly #daemons: string | undefined;

  /**
   * @param cpus the CPUs that may be used; the first is for the load, and with fewer than two nothing is
   * placed
   */
  constructor(cpus: readonly number[]) {
    const [first, ...others] = cpus;
    if (others.length === 0) return;
    this.#load = String(first);
    this.#daemons = others.join(",");
  }

  /** Command to put before the load process. */
  get prefix(): readonly string[] {
    return this.#load === undefined ? [] : ["taskset", "--cpu-list", this.#load];
  }

  /** Puts every thread of a running daemon on its CPUs. */
  placeDaemon(pid: number): void {
    if (this.#daemons === undefined) return;
    execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", this.#daemons, String(pid)], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** For the heading of the table. */
  get text(): string {
    if (this.#load === undefined) return "load and daemons wherever the scheduler puts them";
    return `load on CPU ${this.#load}, daemons on CPU ${this.#daemons}`;
  }
}

/** CPUs that this process may run on, e.g. from `0-1,4`. */
export function allowedCpus(): number[] {
  const status = Deno.readTextFileSync("/proc/self/status");
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? "0";
  return list.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
