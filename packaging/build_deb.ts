/**
 * Builds the Debian package: `deno run --allow-all packaging/build_deb.ts [--executable FILE] [--output
 * DIR]`.
 *
 * It needs dpkg-deb and writes `build/deno-virtlockd_VERSION_ARCHITECTURE.deb`.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import process from "node:process";
import { gzipSync } from "node:zlib";
import { packageScript } from "./package_script.ts";
import { INSTALLED_RUNTIME, type Payload, preparePackage, programVersion, ROOT, run } from "./payload.ts";

const SCRIPTS = ["preinst", "postinst", "prerm", "postrm"];
const UNITS = [
  "virtlockd.service",
  "virtlockd.socket",
  "virtlockd-admin.socket",
  "virtlockd-exporter.service",
];
const DOC = "usr/share/doc/deno-virtlockd";

/** Files that a user edits: dpkg asks before it replaces them. */
const CONFFILES = ["/etc/logrotate.d/deno-virtlockd"];

/** One file of the package, copied from the source tree unless it says otherwise. */
interface Entry {
  /** Path in the package. */
  readonly target: string;
  readonly source: string;
  readonly mode: number;
  /** Whether Debian wants it compressed: man pages and changelogs. */
  readonly gzip?: boolean;
}

/** Everything in the package but its control files. */
function entries(payload: Payload): Entry[] {
  const tree = (source: string, target: string): Entry => ({
    source: join(ROOT, source),
    target,
    mode: 0o644,
  });
  const list: Entry[] = [
    { source: payload.executable, target: "usr/sbin/virtlockd", mode: 0o755 },
    ...UNITS.map((unit) => tree(`packaging/systemd/${unit}`, `lib/systemd/system/${unit}`)),
    tree("packaging/logrotate/virtlockd", "etc/logrotate.d/deno-virtlockd"),
    tree("packaging/completion/virtlockd", "usr/share/bash-completion/completions/virtlockd"),
    tree("packaging/augeas/virtlockd.aug", "usr/share/augeas/lenses/virtlockd.aug"),
    tree("packaging/deb/copyright", `${DOC}/copyright`),
    tree("packaging/openrc/virtlockd.initd", `${DOC}/examples/openrc/virtlockd.initd`),
    tree("packaging/openrc/virtlockd.confd", `${DOC}/examples/openrc/virtlockd.confd`),
    tree("conf/virtlockd.conf", `${DOC}/examples/virtlockd.conf`),
    { ...tree("packaging/deb/changelog", `${DOC}/changelog.Debian.gz`), gzip: true },
    { ...tree("man/virtlockd.8", "usr/share/man/man8/virtlockd.8.gz"), gzip: true },
    { ...tree("man/virtlockd.conf.5", "usr/share/man/man5/virtlockd.conf.5.gz"), gzip: true },
    ...["operating.md", "security.md", "dependencies.md"].map((page) =>
      tree(`docs/${page}`, `${DOC}/${page}`)
    ),
  ];
  if (payload.runtime !== undefined) {
    list.push({ source: payload.runtime, target: INSTALLED_RUNTIME.slice(1), mode: 0o755 });
  }
  return list;
}

/** Puts one file in its place below `stage`, whatever the umask of the caller. */
function install(stage: string, entry: Entry): void {
  const path = join(stage, entry.target);
  makeDirectory(stage, dirname(entry.target));
  if (entry.gzip) writeFileSync(path, gzipSync(readFileSync(entry.source), { level: 9 }));
  else copyFileSync(entry.source, path);
  chmodSync(path, entry.mode);
}

function makeDirectory(stage: string, directory: string): void {
  let path = stage;
  for (const part of directory.split("/")) {
    path = join(path, part);
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o755);
  }
}

/** Writes DEBIAN/: the control file, the checksums and the maintainer scripts. */
function writeControl(stage: string, version: string, architecture: string): void {
  const files = readdirSync(stage, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(stage, name)).isFile()).sort();
  const kibibytes = files.reduce((sum, name) => sum + Math.ceil(statSync(join(stage, name)).size / 1024), 0);
  const sums = files.map((name) => {
    const sum = createHash("md5").update(readFileSync(join(stage, name))).digest("hex");
    return `${sum}  ${relative(stage, join(stage, name))}\n`;
  });
  const control = readFileSync(join(ROOT, "packaging/deb/control"), "utf8")
    .replace("@VERSION@", version)
    .replace("@ARCHITECTURE@", architecture)
    .replace("@INSTALLED_SIZE@", String(kibibytes));
  makeDirectory(stage, "DEBIAN");
  write(stage, "control", control, 0o644);
  write(stage, "md5sums", sums.join(""), 0o644);
  write(stage, "conffiles", CONFFILES.map((path) => `${path}\n`).join(""), 0o644);
  for (const script of SCRIPTS) write(stage, script, packageScript(`deb/${script}`), 0o755);
}

function write(stage: string, name: string, text: string, mode: number): void {
  const path = join(stage, "DEBIAN", name);
  writeFileSync(path, text);
  chmodSync(path, mode);
}

/**
 * The package's version, from the newest entry of the changelog, which has to be of this program's version. A
 * packager who sets VIRTLOCKD_VERSION need not write an entry.
 */
function packageVersion(): string {
  const changelog = readFileSync(join(ROOT, "packaging/deb/changelog"), "utf8");
  const version = /^deno-virtlockd \((\S+)\)/.exec(changelog)?.[1] ?? "none";
  const wanted = programVersion();
  if (version.startsWith(`${wanted}-`)) return version;
  if (process.env.VIRTLOCKD_VERSION !== undefined) return `${wanted}-1`;
  throw new Error(`Cannot package: packaging/deb/changelog begins with ${version}, wanted ${wanted}-N`);
}

/** What dpkg calls this machine. */
function debianArchitecture(): string {
  const result = spawnSync("dpkg", ["--print-architecture"], { encoding: "utf8" });
  if (result.error !== undefined) throw result.error;
  return result.stdout.trim();
}

/** Builds the package and returns its file. */
function buildDeb(args: readonly string[]): string {
  const { payload, output, work } = preparePackage(args, "deb");
  const version = packageVersion();
  const architecture = debianArchitecture();
  for (const entry of entries(payload)) install(work, entry);
  writeControl(work, version, architecture);
  const file = join(output, `deno-virtlockd_${version}_${architecture}.deb`);
  run("dpkg-deb", ["--root-owner-group", "-Zxz", "-z1", "--build", work, file]);
  rmSync(work, { recursive: true });
  return file;
}

if (import.meta.main) {
  try {
    console.log(buildDeb(process.argv.slice(2)));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exit(1);
  }
}
