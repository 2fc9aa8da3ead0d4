// Builds the programs: `deno task build`, or `deno run -A packaging/build.ts [--daemon NAME [--output FILE]]
// [--runtime PATH] [--script] [--modules DIRECTORY]`. Each daemon becomes a program of its own at the top of
// the source tree, and so does the lock daemon's link with etcd; --daemon asks for one of them,
// `--daemon family` for all daemons in one file.
//
// Where the runtime for `deno compile` can be had the result is one self-contained file. Elsewhere it is a
// script of the same name that runs the bundled program with the Deno at PATH, by default the one that builds
// it. Such a script runs on this host only: what is to be installed is a package, which has the runtime
// beside the program.
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { builtPrograms } from "./contents.ts";
import { buildProgram } from "./program.ts";
import { ROOT } from "./tool.ts";

const { values } = parseArgs({
  options: {
    daemon: { type: "string" },
    output: { type: "string" },
    runtime: { type: "string", default: process.execPath },
    script: { type: "boolean", default: false },
    modules: { type: "string" },
  },
});
const { daemon, runtime, script, modules } = values;
try {
  if (daemon === undefined && values.output !== undefined) throw new Error("Build: --output needs --daemon");
  for (const contents of daemon === undefined ? builtPrograms().map(({ name }) => name) : [daemon]) {
    const output = resolve(values.output ?? join(ROOT, contents));
    const form = buildProgram({ contents, output, runtime, form: script ? "script" : "best", modules });
    switch (form) {
      case "self-contained":
        console.log(`Built ${output}: one self-contained file`);
        break;
      case "script": {
        const why = script ? "as asked" : "because the runtime for deno compile (denort) cannot be had here";
        console.log(`Built ${output}: a script that runs with ${runtime}, ${why}`);
      }
    }
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
