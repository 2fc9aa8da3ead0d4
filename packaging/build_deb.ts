import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { debianChangelog, packageTime, packageVersion } from "./changelog.ts";
import { file, type PackageFile, packageFiles, text } from "./files.ts";
import { maintainer } from "./maintainer.ts";
import { filled } from "./filled.ts";
import { packageScript } from "./package_script.ts";
import { type PackageRequest, programFor } from "./package_request.ts";
import { stageFiles } from "./stage.ts";
import { Staging } from "./staging.ts";
import { ROOT, runTool } from "./tool.ts";

const SCRIPTS = ["preinst", "postinst", "prerm", "postrm"];
const DOC = "usr/share/doc/deno-virtlockd";

/** Files that a user edits: dpkg asks before it replaces them. */
const CONFFILES = ["/etc/logrotate.d/deno-virtlockd"];

/** Builds the Debian package with dpkg-deb. @returns its file. @throws Error, ToolError */
export function buildDeb(request: PackageRequest): string {
  using staging = new Staging(request.output);
  const stage = staging.path;
  stageFiles(stage, [
    ...packageFiles("diverted", programFor("diverted", request)),
    file(`${DOC}/copyright`, "packaging/deb/copyright"),
    file("usr/share/lintian/overrides/deno-virtlockd", "packaging/deb/lintian-overrides"),
    { ...text(`${DOC}/changelog.Debian.gz`, debianChangelog()), gzip: true },
  ]);
  const version = packageVersion();
  const architecture = runTool("dpkg", ["--print-architecture"]).trim();
  stageFiles(stage, controlFiles(stage, version, architecture));
  const deb = join(request.output, `deno-virtlockd_${version}_${architecture}.deb`);
  packDeb(stage, deb);
  return deb;
}

/**
 * Packs what is staged, control files too, into a package that is the same whenever it is made.
 *
 * @throws ToolError
 */
export function packDeb(stage: string, deb: string): void {
  const env = {
    // What dpkg-deb's variables say comes first: somebody may have no need for a small package.
    DPKG_DEB_COMPRESSOR_TYPE: Deno.env.get("DPKG_DEB_COMPRESSOR_TYPE") ?? "xz",
    DPKG_DEB_COMPRESSOR_LEVEL: Deno.env.get("DPKG_DEB_COMPRESSOR_LEVEL") ?? "1",
    SOURCE_DATE_EPOCH: String(packageTime()),
  };
  runTool("dpkg-deb", ["--root-owner-group", "--build", stage, deb], { env });
}

/** The control file, the checksums and the maintainer scripts of what is staged. */
function controlFiles(stage: string, version: string, architecture: string): PackageFile[] {
  const staged = readdirSync(stage, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(stage, name)).isFile()).sort();
  const kibibytes = staged.reduce((sum, name) => sum + Math.ceil(statSync(join(stage, name)).size / 1024), 0);
  const control = filled(readFileSync(join(ROOT, "packaging/deb/control"), "utf8"), {
    "@VERSION@": version,
    "@ARCHITECTURE@": architecture,
    "@INSTALLED_SIZE@": String(kibibytes),
    "@MAINTAINER@": maintainer(),
  });
  return [
    text("DEBIAN/control", control),
    text("DEBIAN/md5sums", staged.map((name) => `${md5(join(stage, name))}  ${name}\n`).join("")),
    text("DEBIAN/conffiles", CONFFILES.map((path) => `${path}\n`).join("")),
    ...SCRIPTS.map((name) => ({ ...text(`DEBIAN/${name}`, packageScript(`deb/${name}`)), mode: 0o755 })),
  ];
}

function md5(path: string): string {
  return createHash("md5").update(readFileSync(path)).digest("hex");
}
