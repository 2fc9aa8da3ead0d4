import type { ProgramResult } from "../../os/program_result.ts";
import { lastingEnvironment } from "../start/self.ts";
import { type ChildEnd, type ChildManner, type ChildParts, runChild } from "./child_run.ts";

/** What asking works with. */
export interface AskParts extends ChildParts {
  /** Environment of the daemon. */
  readonly env: readonly string[];
  /** Milliseconds after which a program that does not end is killed. */
  readonly limit: number;
}

/** How a program is run that is asked something: what it says is one text, and not long. */
export function askingManner(limit: number, most: number): ChildManner {
  return { limit, most, outputs: "joined", kill: "group" };
}

/** How a program ended, for those to whom it is all the same why it did not end by itself. */
export function resultOf(end: ChildEnd): ProgramResult {
  switch (end.kind) {
    case "exited":
      return { kind: "ended", code: end.code, output: end.stdout };
    case "killed":
      return { kind: "failed", reason: `it was killed by signal ${end.signal}` };
    case "unstarted":
      return { kind: "failed", reason: end.error.message };
    case "failed":
      return end;
  }
}

const MAX_OUTPUT = 65536;

/**
 * Runs a program to learn what it says, while everybody is served. It gets the daemon's environment, without
 * what is meant for this process alone.
 *
 * @param argv begins with the name that the program is called by
 * @param done called once, never before this function has returned, and after the limit in any case
 */
export function askProgram(
  parts: AskParts,
  path: string,
  argv: readonly string[],
  done: (result: ProgramResult) => void,
): void {
  const env = lastingEnvironment(parts.env).filter((entry) => !entry.startsWith("NOTIFY_SOCKET="));
  const manner = askingManner(parts.limit, MAX_OUTPUT);
  runChild(parts, { path, argv, env }, manner, (end) => done(resultOf(end)));
}

/** {@link askProgram} for those who have nobody to serve: waits for the answer, no longer than the limit. */
export function askProgramNow(parts: AskParts, path: string, argv: readonly string[]): ProgramResult {
  let result: ProgramResult | undefined;
  askProgram(parts, path, argv, (answer) => result = answer);
  while (result === undefined) parts.loop.turn(-1);
  return result;
}
