import { invariant } from "../../base/invariant.ts";
import { UsageError } from "../config/usage_error.ts";
import { quote } from "../config/quote.ts";
import { linuxSys } from "../../os/linux.ts";
import { exitProcess, type RuntimeFacts, runtimeFacts } from "../../os/runtime.ts";
import type { Sys } from "../../os/sys.ts";
import { startedAs } from "../start/self.ts";

/** What runs a daemon's program, in a module that is loaded only when that daemon is wanted. */
export type LoadProgram = () => Promise<{ main(sys: Sys, facts: RuntimeFacts): Promise<void> }>;

/** The daemons that an executable holds, by name. */
export type Family = Readonly<Record<string, LoadProgram>>;

/** Which daemon is wanted, and the arguments that are its own. */
export interface Choice {
  readonly name: string;
  /** The argument that has chosen it; empty when the name of the file has. */
  readonly chosen: readonly string[];
  readonly args: readonly string[];
}

/**
 * Chooses a daemon by the name that the program is called by, which may be that of a link, or by the first
 * argument.
 *
 * @param names those of the family
 * @param called the last part of what the program was started as
 * @throws UsageError when neither names one: a daemon must not be started by chance
 */
export function chooseDaemon(names: readonly string[], called: string, args: readonly string[]): Choice {
  if (names.includes(called)) return { name: called, chosen: [], args };
  const [first, ...rest] = args;
  if (first !== undefined && names.includes(first)) return { name: first, chosen: [first], args: rest };
  const got = first === undefined ? "" : `, got ${quote(first)}`;
  throw new UsageError(`Name a daemon first${got}: ${names.join(", ")}`);
}

function lastPart(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Runs the program of the daemon that is wanted, and ends the process with its exit code. */
export async function runFamily(family: Family): Promise<void> {
  const sys = linuxSys();
  const facts = runtimeFacts();
  const called = lastPart(startedAs(sys, facts));
  try {
    const { name, ...rest } = chooseDaemon(Object.keys(family), called, facts.args);
    const load = family[name];
    invariant(load !== undefined, `No daemon ${name}`);
    const { main } = await load();
    await main(sys, { ...facts, ...rest });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${called}: error: ${error.message}`);
    exitProcess(1);
  }
}
