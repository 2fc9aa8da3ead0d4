import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { buildConstants, withConstants } from "./build_constants.ts";
import { type Contents, contentsNamed } from "./contents.ts";
import { FAMILY, listedDaemons } from "./daemons.ts";
import { programVersion } from "./program_version.ts";
import { ROOT, runTool } from "./tool.ts";

/**
 * Bundles a program into one file, with the packager's constants and version. That of a daemon begins in the
 * daemon's own file, so it holds nothing of the others and chooses nothing. That of the family begins in
 * main.ts: the code of a daemon that was not chosen is in it, and is neither compiled nor run.
 *
 * @param contents name of a program, or {@link FAMILY}
 * @param modules a node_modules directory that holds the npm packages of deno.json, instead of what the npm
 * client fetches
 * @returns the bundle's path, build/NAME.js
 * @throws Error when a constant cannot be set, ToolError when bundling fails
 */
export function bundle(contents: string, modules: string | undefined): string {
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
  // All daemons of the family are bundled alike.
  const [first = contents] = listedDaemons().map(({ name }) => name);
  const program = contentsNamed(contents === FAMILY ? first : contents);
  if (contents !== FAMILY) writeFileSync(join(tree, "main.ts"), mainOf(program));
  const output = join(ROOT, `build/${contents}.js`);
  const lock = modules === undefined ? "--frozen" : "--no-lock";
  const options = ["--minify", ...program.bundling, "--config", resolution, lock, "--output", output];
  runTool(process.execPath, ["bundle", ...options, join(tree, "main.ts")], { cwd: tree });
  return output;
}

/** The main module of a program that is not the family's. */
function mainOf({ module }: Contents): string {
  return `import { main } from ${JSON.stringify(module)};\n\nawait main();\n`;
}

/** How the program's imports are resolved. */
function manifestImports(): unknown {
  const manifest: { imports: unknown } = JSON.parse(readFileSync(join(ROOT, "deno.json"), "utf8"));
  return manifest.imports;
}
