import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CHANGELOG_FILE, debianChangelog } from "./changelog.ts";
import { filled } from "./filled.ts";
import { maintainer, MAINTAINER_FILE } from "./maintainer.ts";
import { manifestVersion, programVersion } from "./program_version.ts";
import { ROOT, runTool } from "./tool.ts";

/** At the top of the source tree, but made by it or for somebody's own use: what .gitignore names. */
function ignoredNames(): ReadonlySet<string> {
  const lines = readFileSync(join(ROOT, ".gitignore"), "utf8").split("\n");
  return new Set([".git", ...lines.map((line) => line.replaceAll("/", ""))]);
}

/**
 * Copies the sources, without what was built from them, into a new directory. Version and maintainer in them
 * are the packager's, so that whoever builds them need not know.
 */
export function copySources(directory: string): void {
  const ignored = ignoredNames();
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(ROOT)) {
    if (ignored.has(name) || /\.(deb|rpm)$/.test(name)) continue;
    cpSync(join(ROOT, name), join(directory, name), { recursive: true });
  }
  const manifest = join(directory, "deno.json");
  writeFileSync(
    manifest,
    filled(readFileSync(manifest, "utf8"), {
      [`"version": "${manifestVersion()}"`]: `"version": "${programVersion()}"`,
    }),
  );
  writeFileSync(join(directory, CHANGELOG_FILE), debianChangelog());
  writeFileSync(join(directory, MAINTAINER_FILE), `${maintainer()}\n`);
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
