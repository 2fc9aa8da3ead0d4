// Puts every file of the package below a directory, for package builders that collect them themselves:
// `deno run -A packaging/install.ts --destdir DIRECTORY --layout linked|diverted [--executable FILE]
// [--runtime FILE] [--modules DIRECTORY]`.
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Layout, packageFiles } from "./files.ts";
import { programFor } from "./package_request.ts";
import { stageFiles } from "./stage.ts";
import { ROOT } from "./tool.ts";

const { values } = parseArgs({
  options: {
    destdir: { type: "string" },
    layout: { type: "string" },
    executable: { type: "string" },
    runtime: { type: "string", default: process.execPath },
    modules: { type: "string" },
  },
});
try {
  const { destdir, executable, modules } = values;
  if (destdir === undefined) throw new Error("Install: --destdir is missing");
  const layout = layoutOf(values.layout);
  const program = programFor(layout, {
    output: join(ROOT, "build"),
    executable: executable === undefined ? undefined : resolve(executable),
    runtime: resolve(values.runtime),
    modules: modules === undefined ? undefined : resolve(modules),
  });
  stageFiles(resolve(destdir), packageFiles(layout, program));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}

function layoutOf(name: string | undefined): Layout {
  if (name === "linked" || name === "diverted") return name;
  throw new Error(`Install: got --layout ${name}, want linked or diverted`);
}
