import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { buildConstants, withConstants } from "./build_constants.ts";
import { programVersion } from "./program_version.ts";
import { ROOT, runTool } from "./tool.ts";

/**
 * Bundles the program into one file, with the packager's constants and version.
 *
 * @param modules a node_modules directory that holds the npm packages of deno.json, instead of what the npm
 * client fetches
 * @returns the bundle's path, build/virtlockd.js
 * @throws Error when a constant cannot be set, ToolError when bundling fails
 */
export function bundle(modules: string | undefined): string {
  const tree = join(ROOT, "build/tree");
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(tree, { recursive: true });
  for (const name of ["main.ts", "src"]) cpSync(join(ROOT, name), join(tree, name), { recursive: true });
  const config = join(tree, "src/chassis/config/build_config.ts");
  writeFileSync(config, withConstants(readFileSync(config, "utf8"), buildConstants(process.env)));
  // The program imports deno.json, so it has nothing in it but what the program wants to know.
  writeFileSync(join(tree, "deno.json"), JSON.stringify({ version: programVersion() }));
  const resolution = join(tree, "resolution.json");
  const nodeModulesDir = modules === undefined ? "auto" : "manual";
  writeFileSync(resolution, JSON.stringify({ imports: manifestImports(), nodeModulesDir }));
  // The lock file holds the hash of each npm package; prepared ones were compared with theirs when they were
  // unpacked.
  if (modules === undefined) cpSync(join(ROOT, "deno.lock"), join(tree, "deno.lock"));
  else symlinkSync(resolve(modules), join(tree, "node_modules"));
  const output = join(ROOT, "build/virtlockd.js");
  const lock = modules === undefined ? "--frozen" : "--no-lock";
  const options = ["--minify", "--config", resolution, lock, "--output", output];
  runTool(process.execPath, ["bundle", ...options, join(tree, "main.ts")], { cwd: tree });
  return output;
}

/** How the program's imports are resolved. */
function manifestImports(): unknown {
  const manifest: { imports: unknown } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  return manifest.imports;
}
