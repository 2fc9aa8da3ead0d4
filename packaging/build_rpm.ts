/**
 * Builds the RPM package: `deno run --allow-all packaging/build_rpm.ts [--executable FILE] [--output DIR]`.
 *
 * It needs rpmbuild, Debian's too, and writes `build/deno-virtlockd-VERSION-1.ARCHITECTURE.rpm`.
 *
 * @module
 */

import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { packageScript } from "./package_script.ts";
import { preparePackage, programVersion, ROOT, run } from "./payload.ts";

/** Builds the package and returns its file. */
function buildRpm(args: readonly string[]): string {
  const { payload, output, work } = preparePackage(args, "rpm");
  const divert = join(work, "divert");
  writeFileSync(divert, packageScript("rpm/divert"));
  const defines = new Map([
    ["_topdir", work],
    ["_rpmdir", join(work, "finished")],
    ["program_version", programVersion()],
    ["tree", ROOT],
    ["executable", payload.executable],
    ["divert", divert],
  ]);
  if (payload.runtime !== undefined) defines.set("runtime", payload.runtime);
  run("rpmbuild", [
    "-bb",
    "--quiet",
    ...[...defines].flatMap(([name, value]) => ["--define", `${name} ${value}`]),
    join(ROOT, "packaging/rpm/deno-virtlockd.spec"),
  ]);
  const built = readdirSync(join(work, "finished"), { recursive: true, encoding: "utf8" })
    .find((name) => name.endsWith(".rpm"));
  if (built === undefined) throw new Error(`Cannot find the package: rpmbuild left no .rpm in ${work}`);
  const file = join(output, built.slice(built.lastIndexOf("/") + 1));
  renameSync(join(work, "finished", built), file);
  rmSync(work, { recursive: true });
  return file;
}

if (import.meta.main) {
  try {
    console.log(buildRpm(process.argv.slice(2)));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
