import { readFileSync } from "node:fs";
import { join } from "node:path";
import { debianChangelog } from "./changelog.ts";
import { file, type PackageFile, text } from "./files.ts";
import { filled } from "./filled.ts";
import { maintainer } from "./maintainer.ts";
import { ROOT } from "./tool.ts";

/** Machines that packaging/build_inputs.txt has a Deno for, as dpkg calls them. */
const ARCHITECTURES = "amd64 arm64";

/** Fields of a finished package that a source package does not have, or has in its own paragraph. */
const FINISHED = /^(Version|Maintainer|Installed-Size|Section|Priority): .*\n/gm;

/** The files below debian/ of a source package, made from those that the finished package is made from. */
export function debianSourceFiles(): PackageFile[] {
  return [
    text("control", `${sourceParagraph()}\n${packageParagraph()}`),
    text("changelog", debianChangelog()),
    file("copyright", "packaging/deb/copyright"),
    { ...file("rules", "packaging/deb/source/rules"), mode: 0o755 },
    text("source/format", "3.0 (quilt)\n"),
    file("source/lintian-overrides", "packaging/deb/source/lintian-overrides"),
  ];
}

function sourceParagraph(): string {
  return filled(read("source/control"), { "@MAINTAINER@": maintainer() });
}

function packageParagraph(): string {
  return filled(read("control").replace(FINISHED, ""), { "@ARCHITECTURE@": ARCHITECTURES });
}

function read(name: string): string {
  return readFileSync(join(ROOT, "packaging/deb", name), "utf8");
}
