import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "./tool.ts";

/** What rpmbuild builds a package from. */
export interface RpmBuild {
  /** Its working directory. */
  readonly top: string;
  /** Name of the package. */
  readonly name: string;
  /** Its spec file, filled. */
  readonly spec: string;
  /** Macros that the spec file uses. */
  readonly macros: Readonly<Record<string, string>>;
}

/**
 * Builds an RPM package.
 *
 * @param output directory for the package
 * @returns its file
 * @throws ToolError when rpmbuild fails, Error when it leaves no package
 */
export function rpmbuild({ top, name, spec, macros }: RpmBuild, output: string): string {
  const file = join(top, `${name}.spec`);
  writeFileSync(file, spec);
  const defines = Object.entries({ _topdir: top, ...macros });
  runTool("rpmbuild", [
    "-bb",
    ...defines.flatMap(([macro, value]) => ["--define", `${macro} ${value}`]),
    file,
  ]);
  const built = readdirSync(join(top, "RPMS"), { recursive: true, encoding: "utf8" })
    .find((path) => path.endsWith(".rpm"));
  if (built === undefined) throw new Error(`Package: rpmbuild left no .rpm in ${top}/RPMS`);
  const rpm = join(output, built.slice(built.lastIndexOf("/") + 1));
  renameSync(join(top, "RPMS", built), rpm);
  return rpm;
}
