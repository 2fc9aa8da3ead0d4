import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { CHANGELOG_FILE, debianChangelog } from "./changelog.ts";
import { filled } from "./filled.ts";
import { maintainer, MAINTAINER_FILE } from "./maintainer.ts";
import { manifestVersion, programVersion } from "./program_version.ts";
import { ROOT, runTool } from "./tool.ts";

/**
 * What is at the top of a source tree, without what was made by it or for somebody's own use (what .gitignore
 * names, and packages), and without the place that a copy goes to.
 *
 * @param copy directory of the copy, in the tree or elsewhere
 */
export function sourceNames(root: string, copy: string): string[] {
  const lines = readFileSync(join(root, ".gitignore"), "utf8").split("\n");
  const [place = ""] = relative(resolve(root), resolve(copy)).split(sep);
  const ignored = new Set([".git", place, ...lines.map((line) => line.replaceAll("/", ""))]);
  return readdirSync(root).filter((name) => !ignored.has(name) && !/\.(deb|rpm|spec|tar\.xz)$/.test(name));
}

/**
 * Copies the sources, without what was built from them, into a new directory. Version and maintainer in them
 * are the packager's, so that whoever builds them need not know.
 */
export function copySources(directory: string): void {
  const names = sourceNames(ROOT, directory);
  mkdirSync(directory, { recursive: true });
  for (const name of names) {
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
