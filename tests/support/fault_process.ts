import { deepStrictEqual, ok } from "node:assert/strict";
import { Place } from "./place.ts";
import { TestProcess } from "./test_process.ts";

/** It makes hundreds of starts and re-execs one after the other. */
const TIMEOUT = 300_000;

/** A line of the process that runs a daemon under faults. */
export interface FaultResult {
  readonly path: string;
  readonly faults: number;
  readonly problems: readonly string[];
}

/**
 * Fails every call on some ways through a daemon, one after the other.
 *
 * @param main path of the program that does, in tests/fault
 */
export async function failEach(main: string, paths: readonly string[]): Promise<FaultResult[]> {
  using place = Place.create();
  const command = place.command([Deno.execPath(), "run", "-A", "--no-check", main, ...paths]);
  await using process = new TestProcess(command, place.env, place.directory);
  const { code } = await process.wait(TIMEOUT);
  deepStrictEqual([code, process.stderr.text], [0, ""]);
  return process.stdout.text.trimEnd().split("\n").map((line): FaultResult => JSON.parse(line));
}

/** There must be no problem, and as many faults must have come up. */
export function assertFaultsHarmless(results: readonly FaultResult[], least: number): void {
  deepStrictEqual(
    results.flatMap(({ path, problems }) => problems.map((problem) => `${path}: ${problem}`)),
    [],
  );
  const total = results.reduce((sum, { faults }) => sum + faults, 0);
  ok(total >= least, `only ${total} faults came up, wanted ${least}`);
}
