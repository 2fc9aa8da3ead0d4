// Makes source packages: `deno task source [--output DIRECTORY]`, by default in build/source. There are then
//
//   deno-virtlockd_VERSION.orig.tar.xz and deno-virtlockd-VERSION/, in which dpkg-buildpackage builds,
//   deno-virtlockd-VERSION.tar.xz and deno-virtlockd.spec, from which rpmbuild builds.
//
// docs/packaging.md tells what a build host needs.
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { debianSourceFiles } from "./debian_source.ts";
import { programVersion } from "./program_version.ts";
import { copySources, packSources } from "./source_tree.ts";
import { specFile } from "./spec_file.ts";
import { stageFiles } from "./stage.ts";
import { ROOT } from "./tool.ts";

/** Makes them in the place of those that are there, and tells the files. @throws Error, ToolError */
function makeSourcePackages(output: string): void {
  const version = programVersion();
  const tree = join(output, `deno-virtlockd-${version}`);
  // Nothing else: the directory is somebody's.
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  copySources(tree);
  const archive = `${tree}.tar.xz`;
  packSources(output, `deno-virtlockd-${version}`, archive);
  const orig = join(output, `deno-virtlockd_${version}.orig.tar.xz`);
  copyFileSync(archive, orig);
  stageFiles(join(tree, "debian"), debianSourceFiles());
  const spec = join(output, "deno-virtlockd.spec");
  writeFileSync(spec, specFile());
  for (const path of [orig, `${tree}/`, archive, spec]) console.log(path);
}

const { values } = parseArgs({
  options: { output: { type: "string", default: join(ROOT, "build/source") } },
});
try {
  makeSourcePackages(resolve(values.output));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
