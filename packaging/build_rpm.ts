import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { PackageRequest } from "./package_request.ts";
import { programVersion } from "./program_version.ts";
import { rpmbuild } from "./rpmbuild.ts";
import { copySources, packSources } from "./source_tree.ts";
import { specFile } from "./spec_file.ts";
import { Staging } from "./staging.ts";

/**
 * Builds the RPM package with rpmbuild, from the spec that a source package has.
 *
 * @returns its file
 * @throws Error, ToolError
 */
export function buildRpm({ output, executable, runtime, modules }: PackageRequest): string {
  using staging = new Staging(output);
  const top = staging.path;
  const tree = `deno-virtlockd-${programVersion()}`;
  copySources(join(top, tree));
  mkdirSync(join(top, "SOURCES"));
  packSources(top, tree, join(top, `SOURCES/${tree}.tar.xz`));
  const options = [
    `--runtime ${runtime}`,
    ...(executable === undefined ? [] : [`--executable ${executable}`]),
    ...(modules === undefined ? [] : [`--modules ${modules}`]),
  ];
  const macros = { deno: Deno.execPath(), install_options: options.join(" ") };
  return rpmbuild({ top, name: "deno-virtlockd", spec: specFile(), macros }, output);
}
