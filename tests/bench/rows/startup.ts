import { type Figure, median } from "../line.ts";
import type { Row } from "../row.ts";

/** Starts of each daemon for one effort round. */
const STARTS_PER_ROUND = 2;

/** From the start of the process to its first reply. */
export const startupRow: Row = {
  name: "startup",
  summary: "time from the start of the process to its first reply",
  async run(bench) {
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let round = 0; round < bench.effort.rounds * STARTS_PER_ROUND; round++) {
      await bench.withBoth((daemons) => {
        ours.push(daemons.ours.startTime);
        theirs.push(daemons.theirs.startTime);
        return Promise.resolve();
      });
    }
    return [{
      row: "startup",
      title: "startup to first reply",
      unit: "ms",
      better: "less",
      ours: startFigure(ours),
      theirs: startFigure(theirs),
      goal: { kind: "ratio", least: 1 },
    }];
  },
};

function startFigure(times: readonly number[]): Figure {
  return {
    value: median(times),
    note: `${Math.min(...times).toFixed(1)} to ${Math.max(...times).toFixed(1)} ms`,
  };
}
