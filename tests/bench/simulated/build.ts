import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parentDirectory } from "../place.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

/**
 * Builds the program of `main.ts` like `packaging/build.ts` builds the real one, with the first lines of
 * that: so it is started in the same way, with the same flags.
 *
 * @param ours the real program; a script
 * @returns path of the program, alone in a directory that the caller removes
 * @throws Error when the real program is no script, or the bundler fails
 */
export function buildSimulated(ours: string): string {
  const head = readFileSync(ours, "latin1").split("\n", 2);
  if (head[0] !== "#!/bin/sh") {
    throw new Error(`Build the simulation: ${ours} is no script (build it with --script)`);
  }
  const directory = mkdtempSync(join(parentDirectory(), "virtlockd-simulated-"));
  const bundle = join(directory, "bundle.js");
  const { status, stderr } = spawnSync(Deno.execPath(), ["bundle", "--minify", "--output", bundle, MAIN], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`Build the simulation: deno bundle ended with ${status}: ${stderr}`);
  const program = join(directory, "virtlockd");
  writeFileSync(program, `${head.join("\n")}\n${readFileSync(bundle, "utf8")}`);
  chmodSync(program, 0o755);
  return program;
}
