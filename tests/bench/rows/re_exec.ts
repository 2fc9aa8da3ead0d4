import type { Figure, Line } from "../line.ts";
import type { ReExecResult, ReExecTask } from "../load/task.ts";
import type { Row } from "../row.ts";

const LOCKS_EACH = 10;
const QUIET_RESTARTS = 3;
const BUSY_CLIENTS = 50;

/** The longest wait of a client across SIGUSR1. */
function reExecRow(name: string, wanted: number): Row {
  return {
    name,
    summary: `longest wait across a re-exec with ${wanted} clients and ${wanted * LOCKS_EACH} locks`,
    async run(bench) {
      const clients = Math.max(BUSY_CLIENTS + QUIET_RESTARTS, bench.scaled(wanted));
      const task: ReExecTask = {
        kind: "re-exec",
        clients,
        locks: LOCKS_EACH,
        quiet: QUIET_RESTARTS,
        busy: BUSY_CLIENTS,
      };
      const [ours, theirs] = await bench.withBoth((daemons) =>
        Promise.resolve([bench.reExec(daemons.ours, task), bench.reExec(daemons.theirs, task)] as const)
      );
      const size = `${clients}/${clients * LOCKS_EACH}`;
      const line: Pick<Line, "row" | "unit" | "better"> = { row: name, unit: "ms", better: "less" };
      return [
        {
          ...line,
          title: `re-exec ${size}, longest wait of a single client`,
          ours: quietFigure(ours),
          theirs: quietFigure(theirs),
        },
        {
          ...line,
          title: `re-exec ${size}, longest wait of ${BUSY_CLIENTS} busy ones`,
          ours: busyFigure(ours),
          theirs: busyFigure(theirs),
        },
        {
          row: name,
          title: `re-exec ${size}, requests never answered`,
          unit: `of ${BUSY_CLIENTS}`,
          better: "less",
          ours: { value: ours.busyLost },
          theirs: { value: theirs.busyLost },
          goal: { kind: "most", value: 0 },
        },
      ];
    },
  };
}

function quietFigure({ quiet, quietLost, restarted }: ReExecResult): Figure {
  const value = restarted && quiet.length > 0 ? Math.max(...quiet) : NaN;
  const lost = quietLost === 0 ? [] : [`${quietLost} of ${QUIET_RESTARTS} requests were never answered`];
  const image = restarted ? [] : ["it did not execute a new image"];
  const notes = [...lost, ...image];
  return notes.length === 0 ? { value } : { value, note: notes.join("; ") };
}

function busyFigure({ busy, restarted }: ReExecResult): Figure {
  return { value: restarted ? busy : NaN };
}

/** Restart without anybody noticing. */
export const reExecRows: readonly Row[] = [
  reExecRow("re-exec-100", 100),
  reExecRow("re-exec-1000", 1000),
];
