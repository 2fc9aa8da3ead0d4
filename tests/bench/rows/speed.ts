import type { Goal } from "../line.ts";
import type { Operation } from "../load/task.ts";
import type { Row } from "../row.ts";

/** What the operations are called in the table. */
export const OPERATION_TITLES: Readonly<Record<Operation, string>> = {
  noop: "no-op call",
  pair: "acquire + release",
  start: "guest start",
};

const AT_LEAST_EQUAL: Goal = { kind: "ratio", least: 1 };
const TWICE: Goal = { kind: "ratio", least: 2 };

/** Operations per second of some clients, each of which sends its next request when it has its reply. */
function speedRow(name: string, operation: Operation, clients: number, goal: Goal): Row {
  const title = `${clients} client${clients === 1 ? "" : "s"}, ${OPERATION_TITLES[operation]}`;
  return {
    name,
    summary: title,
    run: (bench) =>
      bench.withBoth(async (daemons) => {
        const figures = await bench.compare(daemons, operation, clients);
        return [{ row: name, title, unit: "per s", better: "more", ...figures, goal }];
      }),
  };
}

/** Speed with nobody else connected. */
export const speedRows: readonly Row[] = [
  speedRow("noop-1", "noop", 1, TWICE),
  speedRow("pair-1", "pair", 1, AT_LEAST_EQUAL),
  speedRow("start-1", "start", 1, AT_LEAST_EQUAL),
  speedRow("noop-50", "noop", 50, TWICE),
  speedRow("pair-50", "pair", 50, AT_LEAST_EQUAL),
  speedRow("start-50", "start", 50, AT_LEAST_EQUAL),
];
