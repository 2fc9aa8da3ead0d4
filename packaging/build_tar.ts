import { join } from "node:path";
import { packageTime } from "./changelog.ts";
import { packageFiles } from "./files.ts";
import { type PackageRequest, programFor } from "./package_request.ts";
import { programVersion } from "./program_version.ts";
import { stageFiles } from "./stage.ts";
import { Staging } from "./staging.ts";
import { runTool } from "./tool.ts";

/**
 * Builds an archive to be unpacked at / of a host whose package manager is not asked, with the runtime in it.
 * Nothing in it takes the place of a file of libvirt's; its script `divert` does, once the program has been
 * tried.
 *
 * @returns its file
 * @throws Error, ToolError
 */
export function buildTar(request: PackageRequest): string {
  using staging = new Staging(request.output);
  const stage = staging.path;
  stageFiles(stage, packageFiles("linked", programFor("linked", request)));
  const archive = join(request.output, `deno-virtlockd-${programVersion()}-linux-${Deno.build.arch}.tar.xz`);
  runTool("tar", [
    "--create",
    "--file",
    archive,
    "--use-compress-program=xz -1 -T0",
    "--owner=root:0",
    "--group=root:0",
    "--sort=name",
    `--mtime=@${packageTime()}`,
    "--directory",
    stage,
    "etc",
    "usr",
  ]);
  return archive;
}
