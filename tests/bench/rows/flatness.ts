import type { Bench, Pair } from "../bench.ts";
import type { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Figure, Line } from "../line.ts";
import type { Operation } from "../load/task.ts";
import type { Row } from "../row.ts";
import { locksPerClient, MOST_CLIENTS } from "./capacity.ts";
import { OPERATION_TITLES } from "./speed.ts";

const CLIENTS = 50;
/** How much more a request may cost our daemon when it is full. */
const TOLERANCE = 1.1;

/** CPU time of the daemon for one operation, empty and full. */
export const flatnessRow: Row = {
  name: "flatness",
  summary: `cost of a request with ${MOST_CLIENTS} clients and their locks, beside an empty daemon`,
  async run(bench) {
    const clients = bench.scaled(MOST_CLIENTS);
    const locks = locksPerClient(bench.sys.fileLimit(), clients);
    return await bench.withBoth(async (full) => {
      const held = [
        await bench.hold(full.ours, clients, locks),
        await bench.hold(full.theirs, clients, locks),
      ];
      const lines = await bench.withBoth(async (empty) => {
        const found: Line[] = [];
        for (const operation of ["noop", "pair"] as const) {
          const title = `CPU of a ${OPERATION_TITLES[operation]}, ${clients} clients and ${
            clients * locks
          } locks / none`;
          const ours = await growth(bench, operation, { ours: full.ours, theirs: empty.ours });
          const theirs = await growth(bench, operation, { ours: full.theirs, theirs: empty.theirs });
          const goal = { kind: "most", value: TOLERANCE } as const;
          found.push({ row: "flatness", title, unit: "times", better: "less", ours, theirs, goal });
        }
        return found;
      });
      for (const holder of held) await holder.release();
      return lines;
    });
  },
};

/**
 * How many times as much CPU an operation takes the first daemon, which is full, as the second, in one run.
 */
async function growth(bench: Bench, operation: Operation, daemons: Pair<DaemonUnderTest>): Promise<Figure> {
  const { ours: full, theirs: empty } = await bench.compare(daemons, operation, CLIENTS);
  const [loaded = NaN, quiet = NaN] = [full.cpuPerOperation, empty.cpuPerOperation];
  return { value: loaded / quiet, note: `${loaded.toFixed(1)} us beside ${quiet.toFixed(1)} us` };
}
