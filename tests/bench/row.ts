import type { Bench } from "./bench.ts";
import type { Line } from "./line.ts";

/** Something that is measured; it may give several lines of the table. */
export interface Row {
  /** How the command line calls it. */
  readonly name: string;
  /** What it measures, in a few words. */
  readonly summary: string;
  run(bench: Bench): Promise<Line[]>;
}
