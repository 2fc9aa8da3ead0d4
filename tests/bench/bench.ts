import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Sys } from "../../src/os/sys.ts";
import { type Candidate, DaemonUnderTest } from "./daemon_under_test.ts";
import type { Figure } from "./line.ts";
import { median } from "./line.ts";
import type {
  HoldResult,
  LoadResult,
  LoadTask,
  Operation,
  ReExecResult,
  ReExecTask,
  Target,
  Task,
} from "./load/task.ts";
import type { Place } from "./place.ts";
import type { Placement } from "./placement.ts";

const LOAD_PROGRAM = fileURLToPath(new URL("./load/main.ts", import.meta.url));
const LOAD_ARGUMENTS = ["run", "-A", "--no-config", "--no-lock", LOAD_PROGRAM];
/** A load process that takes longer hangs: the daemon does not answer it. */
const LOAD_LIMIT = 180_000;
/** How long each load runs before it is measured, so that a just-in-time compiler has done its work. */
const WARMUP = 300;

/** How much is measured. */
export interface Effort {
  /** Samples of each daemon, taken in turn. */
  readonly rounds: number;
  /** Milliseconds of one sample. */
  readonly sample: number;
  /** Divides the numbers of clients and locks. */
  readonly scale: number;
}

/** The two daemons of a row. */
export interface Pair<T> {
  readonly ours: T;
  readonly theirs: T;
}

/** Connections, and locks, that a process of its own keeps. */
export interface Held {
  readonly result: HoldResult;
  release(): Promise<void>;
}

/** What the rows measure with. */
export class Bench {
  readonly sys: Sys;
  readonly effort: Effort;
  readonly #ours: Candidate;
  readonly #theirs: Candidate;
  readonly #placement: Placement;

  constructor(sys: Sys, effort: Effort, placement: Placement, ours: Candidate, theirs: Candidate) {
    this.sys = sys;
    this.effort = effort;
    this.#placement = placement;
    this.#ours = ours;
    this.#theirs = theirs;
  }

  /** The same with load and daemons on other CPUs. */
  placed(placement: Placement): Bench {
    return new Bench(this.sys, this.effort, placement, this.#ours, this.#theirs);
  }

  /** Our program. */
  get ours(): Candidate {
    return this.#ours;
  }

  /** A number of clients or locks, smaller in a quick run. */
  scaled(count: number): number {
    return Math.max(1, Math.floor(count / this.effort.scale));
  }

  /** Runs `use` with a fresh daemon of each kind, then ends them. */
  async withBoth<T>(use: (daemons: Pair<DaemonUnderTest>) => Promise<T>): Promise<T> {
    return await this.withOurs(async (ours) => {
      const theirs = await DaemonUnderTest.start(this.sys, this.#theirs);
      try {
        return await use({ ours, theirs });
      } finally {
        await theirs.stop();
      }
    });
  }

  /** Runs `use` with a fresh daemon of ours. */
  async withOurs<T>(
    use: (daemon: DaemonUnderTest) => Promise<T>,
    environment?: (place: Place) => Record<string, string>,
  ): Promise<T> {
    const ours = await DaemonUnderTest.start(this.sys, this.#ours, environment);
    try {
      return await use(ours);
    } finally {
      await ours.stop();
    }
  }

  /**
   * Lets two, mostly daemons, do the same in turn, each beginning as often as the other.
   *
   * @param rounds how often; as the effort says when not given
   */
  async alternate<S, T>(
    both: Pair<S>,
    sample: (one: S) => T | Promise<T>,
    rounds = this.effort.rounds,
  ): Promise<Pair<T[]>> {
    const [ours, theirs]: [T[], T[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      const turns = [() => take(ours, both.ours), () => take(theirs, both.theirs)];
      if (round % 2 === 1) turns.reverse();
      for (const turn of turns) await turn();
    }
    return { ours, theirs };

    async function take(into: T[], one: S): Promise<void> {
      into.push(await sample(one));
    }
  }

  /** Puts one load on both daemons in turn. */
  async compare(
    daemons: Pair<DaemonUnderTest>,
    operation: Operation,
    clients: number,
  ): Promise<Pair<Figure>> {
    const { ours, theirs } = await this.alternate(
      daemons,
      (daemon) => this.load(daemon.target, operation, clients),
    );
    return { ours: loadFigure(ours), theirs: loadFigure(theirs) };
  }

  /** One sample of a load. @param milliseconds how long it is */
  load(
    target: Target,
    operation: Operation,
    clients: number,
    milliseconds = this.effort.sample,
  ): LoadResult {
    const task: LoadTask = { kind: "load", operation, clients, milliseconds, warmup: WARMUP };
    this.#placement.placeDaemon(target.pid);
    return runTask({ ...task, target }, this.#placement.prefix);
  }

  /** Restarts a daemon under clients. */
  reExec(daemon: DaemonUnderTest, task: ReExecTask): ReExecResult {
    return runTask({ ...task, target: daemon.target });
  }

  /** Starts a process that keeps connections and locks, and waits until it has them. */
  async hold(daemon: DaemonUnderTest, clients: number, locks: number): Promise<Held> {
    const task: Task = { kind: "hold", clients, locks, target: daemon.target };
    const child = spawn(Deno.execPath(), taskArguments(task), { stdio: ["pipe", "pipe", "inherit"] });
    const ended = once(child, "exit");
    const line = await Promise.race([firstLine(child), ended.then(() => undefined)]);
    if (line === undefined) throw new Error(`Hold connections: the load process ended early; see above`);
    return {
      result: JSON.parse(line),
      async release() {
        child.stdin?.end();
        await ended;
      },
    };
  }
}

/** Median of each number over the samples. */
export function loadFigure(samples: readonly LoadResult[]): Figure {
  const middle = (of: (sample: LoadResult) => number) => median(samples.map(of));
  return {
    value: middle(({ operations, milliseconds }) => operations / milliseconds * 1000),
    latency: {
      p50: middle(({ latency }) => latency.p50),
      p99: middle(({ latency }) => latency.p99),
      max: Math.max(...samples.map(({ latency }) => latency.max)),
    },
    loadCpu: middle(({ loadCpu, milliseconds }) => loadCpu / milliseconds),
    cpuPerOperation: middle(({ daemonCpu, operations }) => daemonCpu / operations * 1000),
  };
}

function taskArguments(task: Task): string[] {
  return [...LOAD_ARGUMENTS, JSON.stringify(task)];
}

/** Runs a load process to its end and reads its answer. The caller knows which result belongs to its task. */
function runTask<T>(task: Task, prefix: readonly string[] = []): T {
  const [command = "", ...args] = [...prefix, Deno.execPath(), ...taskArguments(task)];
  const { status, signal, stdout } = spawnSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: LOAD_LIMIT,
  });
  if (status === 0) return JSON.parse(stdout);
  throw new Error(
    `Load ${task.target.socket}: the load process ended with ${signal ?? `code ${status}`}; see above`,
  );
}

async function firstLine(child: ChildProcess): Promise<string | undefined> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    const end = text.indexOf("\n");
    // Leaving the loop would close the pipe's reading end; nothing more is written to it.
    if (end >= 0) return text.slice(0, end);
  }
  return undefined;
}
