import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { manifestVersion, programVersion } from "./program_version.ts";
import { ROOT, runTool } from "./tool.ts";

/** At the top of the source tree, but made by it or for somebody's own use: what .gitignore names. */
function ignoredNames(): ReadonlySet<string> {
  const lines = readFileSync(join(ROOT, ".gitignore"), "utf8").split("\n");
  return new Set([".git", ...lines.map((line) => line.replaceAll("/", ""))]);
}

/**
 * Copies the sources, without what was built from them, into a new directory. The version in them is the
 * packager's.
 */
export function copySources(directory: string): void {
  const ignored = ignoredNames();
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(ROOT)) {
    if (ignored.has(name) || /\.(deb|rpm)$/.test(name)) continue;
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  }
  const manifest = join(directory, "deno.json");
  const text = readFileSync(manifest, "utf8");
  writeFileSync(
    manifest,
    text.replace(`"version": "${manifestVersion()}"`, `"version": "${programVersion()}"`),
  );
}

/**
 * Packs a directory into an archive that is the same whenever and by whomever it is made.
 *
 * @param name the directory's, below `parent`
 * @throws ToolError
 */
export function packSources(parent: string, name: string, archive: string): void {
  runTool("tar", [
    "--create",
    "--file",
    archive,
    "--use-compress-program=xz -T0",
    "--owner=root:0",
    "--group=root:0",
    "--sort=name",
    "--mtime=@0",
    "--directory",
    parent,
    name,
  ]);
}
