import { rmSync } from "node:fs";
import { dirname } from "node:path";
import { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Figure, Line } from "../line.ts";
import { processMemory } from "../../support/process_usage.ts";
import type { Bench } from "../bench.ts";
import type { Row } from "../row.ts";
import { buildSimulated } from "../simulated/build.ts";
import { locksPerClient, MOST_CLIENTS, MOST_LOCKS } from "./capacity.ts";

const SOME_CLIENTS = 1000;
/** Most resident memory, in MB. */
const EMPTY_LIMIT = 64;
const FULL_LIMIT = 120;

/** Memory, and time to take the locks, of a host full of guests. */
export const manyGuestsRow: Row = {
  name: "many-guests",
  summary: `memory at 0, ${SOME_CLIENTS} and ${MOST_CLIENTS} clients, and the time to take their locks`,
  async run(bench) {
    const [some, most] = [bench.scaled(SOME_CLIENTS), bench.scaled(MOST_CLIENTS)];
    const locks = locksPerClient(bench.sys.fileLimit(), most);
    const [ours, theirs] = await bench.withBoth(async (daemons) => [
      await fill(bench, daemons.ours, some, most, locks),
      await fill(bench, daemons.theirs, some, most, locks),
    ]);
    const memory = { row: "many-guests", unit: "MB RSS", better: "less" } as const;
    const time = {
      row: "many-guests",
      unit: "ms",
      better: "less",
      goal: { kind: "ratio", least: 1 },
    } as const;
    const all = `${most} clients`;
    const taken = `${most} clients x ${locks} locks`;
    return [
      {
        ...memory,
        title: "memory, no clients",
        ...pair("empty"),
        goal: { kind: "most", value: EMPTY_LIMIT },
      },
      { ...memory, title: `memory, ${some} clients`, ...pair("some") },
      { ...memory, title: `memory, ${all}`, ...pair("most") },
      { ...memory, title: `memory, ${taken}`, ...pair("full"), goal: { kind: "most", value: FULL_LIMIT } },
      { ...time, title: `${all}: connect and register`, ...pair("connect") },
      { ...time, title: `${taken}: take the locks`, ...pair("acquire") },
    ];

    function pair(what: keyof Filled): { ours: Figure; theirs: Figure } {
      return { ours: (ours as Filled)[what], theirs: (theirs as Filled)[what] };
    }
  },
};

type Filled = Readonly<Record<"empty" | "some" | "most" | "full" | "connect" | "acquire", Figure>>;

async function fill(
  bench: Bench,
  daemon: DaemonUnderTest,
  some: number,
  most: number,
  locks: number,
): Promise<Filled> {
  const memory = (): Figure => {
    const { resident: total, anonymous } = processMemory(daemon.target.pid);
    return { value: total, note: `${anonymous.toFixed(1)} MB of it not backed by a file` };
  };
  const empty = memory();
  const few = await bench.hold(daemon, some, 0);
  const atSome = memory();
  await few.release();
  const many = await bench.hold(daemon, most, 0);
  const atMost = memory();
  await many.release();
  const full = await bench.hold(daemon, most, locks);
  const atFull = memory();
  const { connect, acquire, latency } = full.result;
  await full.release();
  return {
    empty,
    some: atSome,
    most: atMost,
    full: atFull,
    connect: { value: connect },
    acquire: { value: acquire, latency },
  };
}

/**
 * Memory with more locks than descriptors are allowed: the program is ours, but opening a lock file is
 * simulated in it. With as many locks as the real program can take it shows how far the two agree.
 */
export const simulatedLocksRow: Row = {
  name: "many-locks",
  summary: `memory at ${MOST_CLIENTS} clients x ${MOST_LOCKS} locks, their files' descriptors simulated`,
  async run(bench) {
    const clients = bench.scaled(MOST_CLIENTS);
    const real = locksPerClient(bench.sys.fileLimit(), clients);
    const program = buildSimulated(bench.ours.program);
    try {
      const counts = real === MOST_LOCKS ? [MOST_LOCKS] : [real, MOST_LOCKS];
      const lines: Line[] = [];
      for (const locks of counts) lines.push(await simulate(bench, program, clients, locks));
      return lines;
    } finally {
      rmSync(dirname(program), { recursive: true });
    }
  },
};

async function simulate(bench: Bench, program: string, clients: number, locks: number): Promise<Line> {
  const daemon = await DaemonUnderTest.start(bench.sys, { ...bench.ours, program });
  try {
    const held = await bench.hold(daemon, clients, locks);
    const { resident: total, anonymous } = processMemory(daemon.target.pid);
    await held.release();
    return {
      row: "many-locks",
      title: `memory, ${clients} clients x ${locks} locks, simulated files`,
      unit: "MB RSS",
      better: "less",
      ours: {
        value: total,
        note: `our program with descriptors of lock files simulated, ${
          anonymous.toFixed(1)
        } MB not backed by a file`,
      },
      theirs: undefined,
      goal: { kind: "most", value: FULL_LIMIT },
    };
  } finally {
    await daemon.stop();
  }
}
