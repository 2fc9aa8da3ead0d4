import type { Bench } from "../bench.ts";
import { BusyHost } from "../busy_host.ts";
import type { Goal, Line } from "../line.ts";
import type { Operation } from "../load/task.ts";
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
/**
 * Endless loops beside the daemons in the rows of a busy host: as many as the machine of the table has CPUs.
 */
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

/** The same with endless loops beside, which want the CPU as much as the daemons do. */
function busyRow(name: string, operation: Operation, clients: number): Row {
  const calm = speedRow(name, operation, clients, AT_LEAST_EQUAL);
  return {
    name,
    summary: `busy host: ${calm.summary}`,
    async run(bench) {
      await using _busy = new BusyHost(BUSY_LOOPS);
      const title = `busy host: ${calm.summary}`;
      return [await speed(bench, operation, clients, { name, title, goal: AT_LEAST_EQUAL })];
    },
  };
}

async function speed(
  bench: Bench,
  operation: Operation,
  clients: number,
  { name, title, goal }: { name: string; title: string; goal: Goal },
): Promise<Line> {
  return await bench.withBoth(async (daemons) => {
    const figures = await bench.compare(daemons, operation, clients);
    return { row: name, title, unit: "per s", better: "more", ...figures, goal };
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
];
