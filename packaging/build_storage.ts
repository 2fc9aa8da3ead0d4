import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuiltProgram, text } from "./files.ts";
import { isSelfContained, type PackageRequest } from "./package_request.ts";
import { buildProgram } from "./program.ts";
import { buildSideDeb, buildSideRpm, type SidePackage } from "./side_package.ts";
import { stageFiles } from "./stage.ts";
import { Staging } from "./staging.ts";
import { storageFiles, type StorageLayout, storageRuntime } from "./storage_files.ts";
import { ROOT } from "./tool.ts";

/** Builds the storage daemon's program for a layout. @throws Error, ToolError */
function program(layout: StorageLayout, { output, runtime, modules }: PackageRequest): BuiltProgram {
  const executable = join(output, `virtstoraged.${layout}`);
  const installed = storageRuntime(layout);
  buildProgram({ contents: "virtstoraged", output: executable, runtime: installed, form: "best", modules });
  return { executable, runtime: isSelfContained(executable) ? undefined : runtime };
}

/** Puts the files of a package together. */
function staged(layout: StorageLayout, request: PackageRequest): SidePackage {
  const staging = new Staging(request.output);
  stageFiles(staging.path, storageFiles(layout, program(layout, request)));
  return { name: "deno-virtstoraged", sources: "storage", staging };
}

/** Builds the Debian package of the storage daemon. @returns its file. @throws Error, ToolError */
export function buildStorageDeb(request: PackageRequest): string {
  const side = staged("alone", request);
  const conffiles = readFileSync(join(ROOT, "packaging/storage/conffiles"), "utf8");
  stageFiles(side.staging.path, [text("DEBIAN/conffiles", conffiles)]);
  return buildSideDeb(side, request.output);
}

/** Builds the RPM package of the storage daemon. @returns its file. @throws Error, ToolError */
export function buildStorageRpm(request: PackageRequest): string {
  return buildSideRpm(staged("beside", request), request.output);
}
