import { setTimeout } from "node:timers/promises";
import type { DaemonUnderTest } from "../daemon_under_test.ts";
import type { Figure } from "../line.ts";
import { processUsage } from "../../support/process_usage.ts";
import type { Row } from "../row.ts";

const CLIENTS = 100;
/** How long after its last request a daemon counts as idle, and how long it is then watched, in ms. */
const SETTLE = 1000;
const WATCH = 4000;

/** CPU of a daemon with clients and without requests. */
export const idleCpuRow: Row = {
  name: "idle-cpu",
  summary: `CPU of a daemon with ${CLIENTS} silent clients, after some load`,
  async run(bench) {
    return await bench.withBoth(async (daemons) => {
      const held = [await bench.hold(daemons.ours, CLIENTS, 1), await bench.hold(daemons.theirs, CLIENTS, 1)];
      bench.load(daemons.ours.target, "noop", 1);
      bench.load(daemons.theirs.target, "noop", 1);
      await setTimeout(SETTLE);
      const [ours, theirs] = await Promise.all([watch(daemons.ours), watch(daemons.theirs)]);
      for (const holder of held) await holder.release();
      return [{
        row: "idle-cpu",
        title: `idle, ${CLIENTS} clients`,
        unit: "ms CPU / s",
        better: "less",
        ours,
        theirs,
        goal: { kind: "most", value: 0 },
      }];
    });
  },
};

async function watch(daemon: DaemonUnderTest): Promise<Figure> {
  const before = processUsage(daemon.target.pid);
  await setTimeout(WATCH);
  const after = processUsage(daemon.target.pid);
  return {
    value: (after.cpu - before.cpu) / (WATCH / 1000),
    note: `${after.switches - before.switches} context switches in ${WATCH / 1000} s`,
  };
}
