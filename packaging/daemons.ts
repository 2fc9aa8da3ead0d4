import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./tool.ts";

/** Stands for all daemons where a program is named by what it holds. */
export const FAMILY = "family";

/** A daemon that a program can be made of. */
export interface BuiltDaemon {
  readonly name: string;
  /** Module whose main() runs it, relative to the top of the source tree. */
  readonly module: string;
}

/**
 * The daemons, as main.ts lists them.
 *
 * @throws Error when it lists none in the form that is looked for
 */
export function listedDaemons(main: string = readFileSync(join(ROOT, "main.ts"), "utf8")): BuiltDaemon[] {
  const entries = main.matchAll(/^ {2}(\w+): \(\) => import\("(\.\/src\/[^"]+)"\),$/gm);
  const daemons = [...entries].map(([, name = "", module = ""]) => ({ name, module }));
  if (daemons.length === 0) throw new Error("Find the daemons: main.ts lists none");
  return daemons;
}
