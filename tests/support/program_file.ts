import { testProgram } from "./programs.ts";
import { shielded } from "./shielded.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MAIN = testProgram(new URL("./virtlockd_main.ts", import.meta.url));

/**
 * Writes an executable file that is the program, as `deno task build` does where it cannot compile: a shell
 * script that is also the main module. It can be replaced and removed while a daemon runs it, unlike the
 * runtime and the sources.
 */
export function writeProgram(path: string): void {
  const runtime = `'${Deno.execPath()}' run -A --config '${ROOT}deno.json' --ext=js`;
  const command = shielded([runtime, '"$0"', '"$@"']).join(" ");
  const text = `#!/bin/sh\n":" //; trap '' USR1 HUP; exec ${command}\nimport "${MAIN}";\n`;
  replaceProgram(path, text);
}

/** Puts another executable in its place, in one step. */
export function replaceProgram(path: string, text: string, mode = 0o755): void {
  Deno.writeTextFileSync(`${path}.new`, text);
  Deno.chmodSync(`${path}.new`, mode);
  Deno.renameSync(`${path}.new`, path);
}
