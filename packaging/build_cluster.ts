import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { packageVersion } from "./changelog.ts";
import { CERTIFICATES, clusterFiles } from "./cluster_files.ts";
import { file, installedRuntime, type Layout } from "./files.ts";
import type { PackageRequest } from "./package_request.ts";
import { buildProgram } from "./program.ts";
import { buildSideDeb, buildSideRpm, type SidePackage } from "./side_package.ts";
import { stageFiles } from "./stage.ts";
import { Staging } from "./staging.ts";

/** Puts the files of a package together. @param layout of the lock daemon's package, which has the runtime */
function staged(layout: Layout, { output, modules }: PackageRequest): SidePackage {
  const executable = join(output, `virtlockd-cluster.${layout}`);
  const runtime = installedRuntime(layout);
  buildProgram({ contents: "virtlockd-cluster", output: executable, runtime, form: "best", modules });
  const staging = new Staging(output);
  const stage = staging.path;
  stageFiles(stage, clusterFiles(executable));
  mkdirSync(join(stage, CERTIFICATES, ".."), { recursive: true, mode: 0o755 });
  mkdirSync(join(stage, CERTIFICATES), { mode: 0o700 });
  return { name: "deno-virtlockd-cluster", sources: "cluster", staging };
}

/** Builds the Debian package of the link with etcd. @returns its file. @throws Error, ToolError */
export function buildClusterDeb(request: PackageRequest): string {
  const side = staged("diverted", request);
  stageFiles(side.staging.path, [
    file("usr/share/lintian/overrides/deno-virtlockd-cluster", "packaging/cluster/lintian-overrides"),
  ]);
  return buildSideDeb(side, request.output, { "@DAEMON_VERSION@": packageVersion() });
}

/** Builds the RPM package of the link with etcd. @returns its file. @throws Error, ToolError */
export function buildClusterRpm(request: PackageRequest): string {
  const side = staged("linked", request);
  const licenses = "usr/share/licenses/deno-virtlockd-cluster";
  stageFiles(side.staging.path, [
    file(`${licenses}/LICENSE`, "LICENSE"),
    file(`${licenses}/copyright`, "packaging/deb/copyright"),
  ]);
  return buildSideRpm(side, request.output);
}
