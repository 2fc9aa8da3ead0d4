// Builds packages: `deno task package [deb] [rpm] [tar]`, with [--output DIRECTORY] [--executable FILE]
// [--runtime FILE] [--modules DIRECTORY]. Without a kind, each of these whose tools are installed. The
// storage daemon and the link with etcd have packages of their own, storage-deb, storage-rpm, cluster-deb and
// cluster-rpm, which are built when they are named.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { buildClusterDeb, buildClusterRpm } from "./build_cluster.ts";
import { buildDeb } from "./build_deb.ts";
import { buildRpm } from "./build_rpm.ts";
import { buildTar } from "./build_tar.ts";
import { buildStorageDeb, buildStorageRpm } from "./build_storage.ts";
import type { PackageRequest } from "./package_request.ts";
import { hasTool, ROOT } from "./tool.ts";

/** A kind of package. */
interface Kind {
  /** What has to be installed. */
  readonly tools: readonly string[];
  readonly build: (request: PackageRequest) => string;
}

const KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["deb", { tools: ["dpkg", "dpkg-deb"], build: buildDeb }],
  ["rpm", { tools: ["rpmbuild", "tar", "xz"], build: buildRpm }],
  ["tar", { tools: ["tar", "xz"], build: buildTar }],
]);

const SIDE_KINDS: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["storage-deb", { tools: ["dpkg", "dpkg-deb"], build: buildStorageDeb }],
  ["storage-rpm", { tools: ["rpmbuild"], build: buildStorageRpm }],
  ["cluster-deb", { tools: ["dpkg", "dpkg-deb"], build: buildClusterDeb }],
  ["cluster-rpm", { tools: ["rpmbuild"], build: buildClusterRpm }],
]);

/** Builds what was asked for and tells the files. @throws Error, ToolError */
function buildPackages(args: readonly string[]): void {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      output: { type: "string", default: join(ROOT, "build") },
      executable: { type: "string" },
      runtime: { type: "string", default: process.execPath },
      modules: { type: "string" },
    },
  });
  const request: PackageRequest = {
    output: resolve(values.output),
    executable: values.executable === undefined ? undefined : resolve(values.executable),
    runtime: resolve(values.runtime),
    modules: values.modules === undefined ? undefined : resolve(values.modules),
  };
  mkdirSync(request.output, { recursive: true });
  const names = positionals.length > 0 ? positionals : [...KINDS.keys()];
  for (const name of names) {
    const kind = KINDS.get(name) ?? SIDE_KINDS.get(name);
    if (kind === undefined) {
      const known = [...KINDS.keys(), ...SIDE_KINDS.keys()].join(", ");
      throw new Error(`Package: got "${name}", want ${known}`);
    }
    const missing = kind.tools.filter((tool) => !hasTool(tool));
    if (missing.length === 0) {
      console.log(kind.build(request));
    } else {
      const text = `no ${name} was built: ${missing.join(" and ")} cannot be found`;
      if (positionals.length > 0) throw new Error(`Package: ${text}`);
      console.log(text);
    }
  }
}

try {
  buildPackages(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
