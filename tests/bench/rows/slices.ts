import { type Slice, SlicedLoad } from "../load/sliced_load.ts";
import type { Operation } from "../load/task.ts";
import type { Figure, Line } from "../line.ts";
import type { Row } from "../row.ts";

/** So many slices of each daemon for one round of other rows. */
const EACH_ROUND = 60;
/** Until a just-in-time compiler has done its work. */
const WARMUP = 30;
/** A slice takes some tens of milliseconds: less than others leave a machine alone for, now and then. */
const OPERATIONS = 200;
/** Share of the slices that nobody has disturbed. */
const QUIET = 0.05;

/** What one client's operations take in the quickest slices: for a machine that others use too. */
export const slicesRow: Row = {
  name: "slices",
  summary: "acquire + release and guest start of one client, the quickest twentieth of short slices",
  run: (bench) =>
    bench.withBoth((daemons) => {
      const lines: Line[] = [];
      for (const [operation, title] of [["pair", "acquire + release"], ["start", "guest start"]] as const) {
        const load = (which: "ours" | "theirs") =>
          new SlicedLoad(bench.sys, daemons[which].target, operation satisfies Operation, OPERATIONS);
        const loads = [load("ours"), load("theirs")];
        const slices = loads.map((): Slice[] => []);
        for (let turn = 0; turn < WARMUP + bench.effort.rounds * EACH_ROUND; turn++) {
          loads.forEach((each, index) => {
            const slice = each.slice();
            if (turn >= WARMUP) slices[index]?.push(slice);
          });
        }
        const [ours = [], theirs = []] = slices;
        for (const kind of ["wall", "cpu"] as const) {
          const what = kind === "wall" ? "time" : "CPU of the daemon";
          lines.push({
            row: "slices",
            title: `quickest slices, 1 client, ${title}: ${what}`,
            unit: "us",
            better: "less",
            ours: quickest(ours, kind),
            theirs: quickest(theirs, kind),
            goal: { kind: "ratio", least: 1 },
          });
        }
      }
      return Promise.resolve(lines);
    }),
};

/** So much that a twentieth of the slices took less. */
function quickest(slices: readonly Slice[], kind: keyof Slice): Figure {
  const sorted = slices.map((slice) => slice[kind]).sort((a, b) => a - b);
  return { value: sorted[Math.floor(sorted.length * QUIET)] ?? NaN };
}
