import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { packDeb } from "./build_deb.ts";
import { debianChangelog, packageVersion } from "./changelog.ts";
import { file, text } from "./files.ts";
import { filled } from "./filled.ts";
import { maintainer } from "./maintainer.ts";
import { packageScript } from "./package_script.ts";
import { rpmbuild } from "./rpmbuild.ts";
import { specFile } from "./spec_file.ts";
import { stageFiles } from "./stage.ts";
import { Staging } from "./staging.ts";
import { runTool } from "./tool.ts";

const SCRIPTS = ["postinst", "prerm", "postrm"];

/** A package beside the lock daemon's, as far as its format does not matter. */
export interface SidePackage {
  readonly name: string;
  /** Directory below packaging/ of its control file, its scripts and its spec file. */
  readonly sources: string;
  /** Where its files are put together; whoever builds the package disposes of it. */
  readonly staging: Staging;
}

/**
 * Builds a Debian package of what is staged.
 *
 * @param output directory for the package
 * @param values what the control file has besides the places that each has
 * @returns its file
 * @throws Error, ToolError
 */
export function buildSideDeb(
  { name, sources, staging }: SidePackage,
  output: string,
  values: Readonly<Record<string, string>> = {},
): string {
  using staged = staging;
  const stage = staged.path;
  const doc = `usr/share/doc/${name}`;
  stageFiles(stage, [
    file(`${doc}/copyright`, "packaging/deb/copyright"),
    { ...text(`${doc}/changelog.Debian.gz`, debianChangelog()), gzip: true },
  ]);
  const kibibytes = readdirSync(stage, { recursive: true, encoding: "utf8" })
    .map((path) => statSync(join(stage, path))).filter((status) => status.isFile())
    .reduce((sum, { size }) => sum + Math.ceil(size / 1024), 0);
  const version = packageVersion();
  const architecture = runTool("dpkg", ["--print-architecture"]).trim();
  const control = filled(packageScript(`${sources}/control`), {
    "@VERSION@": version,
    "@ARCHITECTURE@": architecture,
    "@INSTALLED_SIZE@": String(kibibytes),
    "@MAINTAINER@": maintainer(),
    ...values,
  });
  stageFiles(stage, [
    text("DEBIAN/control", control),
    ...SCRIPTS.map((script) => ({
      ...text(`DEBIAN/${script}`, packageScript(`${sources}/${script}`)),
      mode: 0o755,
    })),
  ]);
  const deb = join(output, `${name}_${version}_${architecture}.deb`);
  packDeb(stage, deb);
  return deb;
}

/**
 * Builds an RPM package of what is staged, by its spec file.
 *
 * @param output directory for the package
 * @returns its file
 * @throws Error, ToolError
 */
export function buildSideRpm({ name, sources, staging }: SidePackage, output: string): string {
  using staged = staging;
  using building = new Staging(output);
  const spec = specFile(`${sources}/${name}.spec`);
  return rpmbuild({ top: building.path, name, spec, macros: { staged: staged.path } }, output);
}
