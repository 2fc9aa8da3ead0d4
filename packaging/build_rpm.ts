import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PackageRequest } from "./package_request.ts";
import { programVersion } from "./program_version.ts";
import { copySources, packSources } from "./source_tree.ts";
import { specFile } from "./spec_file.ts";
import { Staging } from "./staging.ts";
import { runTool } from "./tool.ts";

/**
 * Builds the RPM package with rpmbuild, from the spec that a source package has.
 *
 * @returns its file
 * @throws Error, ToolError
 */
export function buildRpm({ output, executable, runtime, modules }: PackageRequest): string {
  using staging = new Staging(output);
  const top = staging.path;
  const name = `deno-virtlockd-${programVersion()}`;
  copySources(join(top, name));
  mkdirSync(join(top, "SOURCES"));
  packSources(top, name, join(top, `SOURCES/${name}.tar.xz`));
  const spec = join(top, "deno-virtlockd.spec");
  writeFileSync(spec, specFile());
  const options = [
    `--runtime ${runtime}`,
    ...(executable === undefined ? [] : [`--executable ${executable}`]),
    ...(modules === undefined ? [] : [`--modules ${modules}`]),
  ];
  const defines = {
    _topdir: top,
    deno: Deno.execPath(),
    install_options: options.join(" "),
  };
  runTool("rpmbuild", [
    "-bb",
    ...Object.entries(defines).flatMap(([macro, value]) => ["--define", `${macro} ${value}`]),
    spec,
  ]);
  const built = readdirSync(join(top, "RPMS"), { recursive: true, encoding: "utf8" })
    .find((path) => path.endsWith(".rpm"));
  if (built === undefined) throw new Error(`Package: rpmbuild left no .rpm in ${top}/RPMS`);
  const file = join(output, built.slice(built.lastIndexOf("/") + 1));
  renameSync(join(top, "RPMS", built), file);
  return file;
}
