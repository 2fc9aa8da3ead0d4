import type { Latency } from "./load/task.ts";

/** What one daemon reached in one line of the table. */
export interface Figure {
  readonly value: number;
  readonly latency?: Latency;
  /** Share of the measured time that the load process was on a CPU, 0 to 1. */
  readonly loadCpu?: number;
  /** CPU time of the daemon for one operation, in microseconds. */
  readonly cpuPerOperation?: number;
  /** What the number alone does not tell. */
  readonly note?: string;
}

/** What is asked of ours. */
export type Goal =
  /** At least so many times as good as the other. */
  | { readonly kind: "ratio"; readonly least: number }
  /** At most this value. */
  | { readonly kind: "most"; readonly value: number };

/** One line of the table. */
export interface Line {
  /** Name of the row that it belongs to, as the command line takes it. */
  readonly row: string;
  readonly title: string;
  readonly unit: string;
  readonly better: "more" | "less";
  readonly ours: Figure;
  /** Undefined where there is nothing to compare with. */
  readonly theirs: Figure | undefined;
  readonly goal?: Goal;
}

/** How many times as good ours is; undefined where it cannot be told. */
export function ratio({ ours, theirs, better }: Line): number | undefined {
  if (theirs === undefined || !(ours.value > 0 && theirs.value > 0)) return undefined;
  return better === "more" ? ours.value / theirs.value : theirs.value / ours.value;
}

/** Whether the goal is met; undefined without one, or where it cannot be told. */
export function met(line: Line): boolean | undefined {
  if (line.goal === undefined || Number.isNaN(line.ours.value)) return undefined;
  if (line.goal.kind === "most") return line.ours.value <= line.goal.value;
  const reached = ratio(line);
  return reached === undefined ? undefined : reached >= line.goal.least;
}

/** The middle of some numbers; of an even count the lower of the two in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? NaN;
}
