import type { Bench } from "../bench.ts";
import { BusyHost } from "../busy_host.ts";
import type { Goal, Line } from "../line.ts";
import type { Operation } from "../load/task.ts";
import { allowedCpus, Placement } from "../placement.ts";
import type { Row } from "../row.ts";

/** What the operations are called in the table. */
export const OPERATION_TITLES: Readonly<Record<Operation, string>> = {
  noop: "no-op call",
  lockspace: "known lockspace",
  pair: "acquire + release",
  start: "guest start",
};

const AT_LEAST_EQUAL: Goal = { kind: "ratio", least: 1 };
const TWICE: Goal = { kind: "ratio", least: 2 };
/** Endless loops where the scheduler places all: as many as the table's machine has CPUs. */
const BUSY_LOOPS = 2;

/** Operations per second of some clients, each of which sends its next request when it has its reply. */
function speedRow(name: string, operation: Operation, clients: number, goal: Goal): Row {
  const title = `${clients} client${clients === 1 ? "" : "s"}, ${OPERATION_TITLES[operation]}`;
  return {
    name,
    summary: title,
    run: async (bench) => [await speed(bench, operation, clients, { name, title, goal })],
  };
}

/**
 * The same with endless loops beside, which want the CPU as much as the daemons do: one on each CPU, the load
 * on the first one and the daemon on the others.
 */
function busyRow(name: string, operation: Operation, clients: number): Row {
  const title = `busy host: ${speedRow(name, operation, clients, AT_LEAST_EQUAL).summary}`;
  return {
    name,
    summary: title,
    async run(bench) {
      const cpus = allowedCpus();
      await using _busy = new BusyHost(cpus);
      const placed = bench.placed(new Placement(cpus));
      return [await speed(placed, operation, clients, { name, title, goal: AT_LEAST_EQUAL })];
    },
  };
}

/**
 * The same wherever the scheduler puts all of it. It decides within each sample anew which of loops, load and
 * daemon share a CPU, and with two CPUs that makes more of a difference than the daemon: the row has no goal.
 */
function unplacedRow(name: string, operation: Operation, clients: number): Row {
  const title = `busy, unplaced: ${speedRow(name, operation, clients, AT_LEAST_EQUAL).summary}`;
  return {
    name,
    summary: title,
    async run(bench) {
      await using _busy = new BusyHost(Array.from({ length: BUSY_LOOPS }, () => undefined));
      return [await speed(bench, operation, clients, { name, title })];
    },
  };
}

async function speed(
  bench: Bench,
  operation: Operation,
  clients: number,
  { name, title, goal }: { name: string; title: string; goal?: Goal },
): Promise<Line> {
  return await bench.withBoth(async (daemons) => {
    const figures = await bench.compare(daemons, operation, clients);
    return {
      row: name,
      title,
      unit: "per s",
      better: "more",
      ...figures,
      ...goal === undefined ? {} : { goal },
    };
  });
}

/** Speed with nobody else connected. */
export const speedRows: readonly Row[] = [
  speedRow("noop-1", "noop", 1, TWICE),
  speedRow("lockspace-1", "lockspace", 1, AT_LEAST_EQUAL),
  speedRow("pair-1", "pair", 1, AT_LEAST_EQUAL),
  speedRow("start-1", "start", 1, AT_LEAST_EQUAL),
  speedRow("noop-50", "noop", 50, TWICE),
  speedRow("lockspace-50", "lockspace", 50, AT_LEAST_EQUAL),
  speedRow("pair-50", "pair", 50, AT_LEAST_EQUAL),
  speedRow("start-50", "start", 50, AT_LEAST_EQUAL),
];

/** The same on a host whose guests use all of its CPUs. */
export const busyRows: readonly Row[] = [
  busyRow("busy-noop-1", "noop", 1),
  busyRow("busy-pair-1", "pair", 1),
  busyRow("busy-start-1", "start", 1),
  busyRow("busy-noop-50", "noop", 50),
  busyRow("busy-pair-50", "pair", 50),
  busyRow("busy-start-50", "start", 50),
  unplacedRow("unplaced-noop-1", "noop", 1),
  unplacedRow("unplaced-pair-1", "pair", 1),
  unplacedRow("unplaced-start-1", "start", 1),
  unplacedRow("unplaced-noop-50", "noop", 50),
  unplacedRow("unplaced-pair-50", "pair", 50),
  unplacedRow("unplaced-start-50", "start", 50),
];
