import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianChangelog, packageVersion, rpmChangelog } from "./changelog.ts";
import { type BuiltProgram, file, text } from "./files.ts";
import { filled } from "./filled.ts";
import { maintainer } from "./maintainer.ts";
import { isSelfContained, type PackageRequest } from "./package_request.ts";
import { buildProgram } from "./program.ts";
import { stageFiles } from "./stage.ts";
import { storageFiles, type StorageLayout, storageRuntime } from "./storage_files.ts";
import { ROOT, runTool } from "./tool.ts";

const SCRIPTS = ["postinst", "prerm", "postrm"];

/** Builds the storage daemon's program for a layout. @throws Error, ToolError */
function program(layout: StorageLayout, { output, runtime, modules }: PackageRequest): BuiltProgram {
  const executable = join(output, `virtstoraged.${layout}`);
  const installed = storageRuntime(layout);
  buildProgram({ contents: "virtstoraged", output: executable, runtime: installed, form: "best", modules });
  return { executable, runtime: isSelfContained(executable) ? undefined : runtime };
}

/** Puts the files of a package together. @returns the directory */
function staged(layout: StorageLayout, request: PackageRequest): string {
  const stage = join(request.output, `storage-${layout}`);
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true, mode: 0o755 });
  stageFiles(stage, storageFiles(layout, program(layout, request)));
  return stage;
}

function source(name: string): string {
  return readFileSync(join(ROOT, "packaging/storage", name), "utf8");
}

/** Builds the Debian package of the storage daemon. @returns its file. @throws Error, ToolError */
export function buildStorageDeb(request: PackageRequest): string {
  const stage = staged("alone", request);
  const doc = "usr/share/doc/deno-virtstoraged";
  stageFiles(stage, [
    file(`${doc}/copyright`, "packaging/deb/copyright"),
    { ...text(`${doc}/changelog.Debian.gz`, debianChangelog()), gzip: true },
  ]);
  const kibibytes = readdirSync(stage, { recursive: true, encoding: "utf8" })
    .map((name) => statSync(join(stage, name))).filter((status) => status.isFile())
    .reduce((sum, { size }) => sum + Math.ceil(size / 1024), 0);
  const version = packageVersion();
  const architecture = runTool("dpkg", ["--print-architecture"]).trim();
  const control = filled(source("control"), {
    "@VERSION@": version,
    "@ARCHITECTURE@": architecture,
    "@INSTALLED_SIZE@": String(kibibytes),
    "@MAINTAINER@": maintainer(),
  });
  stageFiles(stage, [
    text("DEBIAN/control", control),
    text("DEBIAN/conffiles", source("conffiles")),
    ...SCRIPTS.map((name) => ({ ...text(`DEBIAN/${name}`, source(name)), mode: 0o755 })),
  ]);
  const deb = join(request.output, `deno-virtstoraged_${version}_${architecture}.deb`);
  runTool("dpkg-deb", ["--root-owner-group", "-Zxz", "-z1", "--build", stage, deb]);
  rmSync(stage, { recursive: true });
  return deb;
}

/** Builds the RPM package of the storage daemon. @returns its file. @throws Error, ToolError */
export function buildStorageRpm(request: PackageRequest): string {
  const stage = staged("beside", request);
  const top = join(request.output, "storage-rpm");
  rmSync(top, { recursive: true, force: true });
  mkdirSync(top, { recursive: true });
  const [, version = "", release = ""] = /^(.*)-([^-]+)$/.exec(packageVersion()) ?? [];
  const values = {
    "@VERSION@": version,
    "@RELEASE@": release,
    "@MAINTAINER@": maintainer(),
    "@CHANGELOG@\n": rpmChangelog(),
  };
  const spec = join(top, "deno-virtstoraged.spec");
  writeFileSync(spec, filled(source("deno-virtstoraged.spec"), values));
  runTool("rpmbuild", ["-bb", "--define", `_topdir ${top}`, "--define", `staged ${stage}`, spec]);
  const built = readdirSync(join(top, "RPMS"), { recursive: true, encoding: "utf8" })
    .find((path) => path.endsWith(".rpm"));
  if (built === undefined) throw new Error(`Package: rpmbuild left no .rpm in ${top}/RPMS`);
  const rpm = join(request.output, built.slice(built.lastIndexOf("/") + 1));
  renameSync(join(top, "RPMS", built), rpm);
  for (const directory of [top, stage]) rmSync(directory, { recursive: true });
  return rpm;
}
