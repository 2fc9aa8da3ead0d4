// Builds the executable: `deno task build`, or `deno run -A packaging/build.ts [--output FILE] [--runtime
// PATH] [--script] [--modules DIRECTORY]`.
//
// Where the runtime for `deno compile` can be had the result is one self-contained file. Elsewhere it is a
// script of the same name that runs the bundled program with the Deno at PATH, by default the one that builds
// it. Such a script runs on this host only: what is to be installed is a package, which has the runtime
// beside the program.
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { buildProgram } from "./program.ts";
import { ROOT } from "./tool.ts";

const { values } = parseArgs({
  options: {
    output: { type: "string", default: join(ROOT, "virtlockd") },
    runtime: { type: "string", default: process.execPath },
    script: { type: "boolean", default: false },
    modules: { type: "string" },
  },
});
const output = resolve(values.output);
const { runtime, script, modules } = values;
try {
  const form = buildProgram({ output, runtime, form: script ? "script" : "best", modules });
  switch (form) {
    case "self-contained":
      console.log(`Built ${output}: one self-contained file`);
      break;
    case "script": {
      const why = script ? "as asked" : "because the runtime for deno compile (denort) cannot be had here";
      console.log(`Built ${output}: a script that runs with ${runtime}, ${why}`);
    }
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
