// The shell scripts that packages run on the target, with the functions that they share put in.
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What stands for a file of shell functions in a script, alone on a line. */
const PARTS: Readonly<Record<string, string>> = {
  "#HAND_OVER#": "hand_over.sh",
  "#FUNCTIONS#": "deb/functions.sh",
  "#CLUSTER#": "cluster/functions.sh",
};

/**
 * A script of the packages, complete.
 *
 * @param name its path below packaging/, e.g. `deb/postinst`
 */
export function packageScript(name: string): string {
  const lines = read(name).split("\n").map((line) => {
    const part = PARTS[line];
    return part === undefined ? line : read(part).trimEnd();
  });
  return lines.join("\n");
}

function read(name: string): string {
  return readFileSync(join(import.meta.dirname ?? "packaging", name), "utf8");
}
