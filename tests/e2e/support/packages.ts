import { host, runOk } from "./command.ts";
import type { Machine } from "./nspawn.ts";

const TREE = new URL("../../..", import.meta.url).pathname;
const OUTPUT = `${TREE}build/e2e`;
/** Everything that a package is made from. */
const SOURCES = ["main.ts", "deno.json", "deno.lock", "src", "packaging", "man", "conf", "docs"];

/** A version after that of deno.json, for upgrades. */
export const NEXT_VERSION = "99.0.0";
/** One before it, for downgrades. */
export const EARLIER_VERSION = "0.9.0";
/** One before that, for what an earlier commit was. */
const COMMIT_VERSION = "0.8.0";

/**
 * Our Debian package of the sources as they are. One that an earlier test has built is used again while it is
 * up to date.
 *
 * @param version instead of the one in deno.json
 * @returns its file
 * @throws CommandError when it cannot be built
 */
export function debianPackage(version?: string): Promise<string> {
  return packageFile("deb", ".deb", version);
}

/**
 * A package as early versions of ours were, whose units are where libvirt's are, with libvirt's diverted. Its
 * program is that of {@link debianPackage}.
 *
 * @returns its file, of a version before all others
 */
export async function packageWithDivertedUnits(): Promise<string> {
  const file = `${OUTPUT}/diverted_units.deb`;
  const repack = ["sh", "-ec", DIVERT_UNITS, "sh", await debianPackage(), `${OUTPUT}/diverted_units`, file];
  await runOk(host, [...repack, `${TREE}tests/fixtures/diverted_units`]);
  return file;
}

const DIVERT_UNITS = `
package=$1; tree=$2; file=$3; scripts=$4
rm -rf "$tree"
dpkg-deb --raw-extract "$package" "$tree"
mkdir -p "$tree/lib/systemd/system"
mv "$tree"/usr/lib/virtlockd/system/* "$tree"/usr/lib/systemd/system/* "$tree/lib/systemd/system/"
rmdir "$tree/usr/lib/virtlockd/system" "$tree/usr/lib/systemd/system" "$tree/usr/lib/systemd"
sed -i 's/^Version: .*/Version: 0.1.0-1/' "$tree/DEBIAN/control"
for script in preinst postinst prerm postrm; do
  { echo '#!/bin/sh'; echo 'set -e'; cat "$scripts/functions.sh" "$scripts/$script"; } >"$tree/DEBIAN/$script"
done
rm "$tree/DEBIAN/md5sums"
dpkg-deb --root-owner-group -Znone --build "$tree" "$file"
rm -rf "$tree"
`;

/** Our RPM package, likewise. */
export function rpmPackage(): Promise<string> {
  return packageFile("rpm", ".rpm");
}

/** The archive to be unpacked at /, likewise. */
export function archive(): Promise<string> {
  return packageFile("tar", ".tar.xz");
}

/** The storage daemon's Debian package, likewise. */
export function storagePackage(): Promise<string> {
  return packageFile("storage-deb", ".deb", undefined, "storage");
}

/** The Debian package of the link with etcd, likewise. */
export function clusterPackage(version?: string): Promise<string> {
  return packageFile("cluster-deb", ".deb", version, "cluster");
}

/** The RPM package of the link with etcd, likewise. */
export function clusterRpm(): Promise<string> {
  return packageFile("cluster-rpm", ".rpm", undefined, "cluster");
}

/**
 * The Debian package of the lock daemon as it was in an earlier commit, with a version before all others but
 * {@link packageWithDivertedUnits}. It is built anew each time.
 *
 * @returns its file
 * @throws CommandError when the history does not have the commit, or it cannot be built
 */
export async function packageOfCommit(commit: string): Promise<string> {
  const directory = `${OUTPUT}/commit`;
  await runOk(host, ["sh", "-ec", BUILD_COMMIT, "sh", TREE, commit, directory, Deno.execPath()], {
    env: { DPKG_DEB_COMPRESSOR_TYPE: "none", VIRTLOCKD_VERSION: COMMIT_VERSION },
    deadline: 600_000,
  });
  const built = await find(directory, ".deb");
  if (built === undefined) throw new Error(`Build a package of ${commit}: there is none in ${directory}`);
  return built;
}

const BUILD_COMMIT = `
tree=$1; commit=$2; directory=$3; deno=$4
rm -rf "$directory"
mkdir -p "$directory/tree"
git -C "$tree" archive "$commit" >"$directory/tree.tar"
tar -x -C "$directory/tree" -f "$directory/tree.tar"
cd "$directory/tree"
"$deno" run -A packaging/package.ts deb --output "$directory"
rm -rf "$directory/tree" "$directory/tree.tar"
`;

/**
 * The same as it was before programs fenced hosts, without the units for that.
 *
 * @returns its file, of a version before all others
 */
export async function clusterPackageWithoutFencing(): Promise<string> {
  const file = `${OUTPUT}/without_fencing.deb`;
  const repack = [
    "sh",
    "-ec",
    TAKE_FENCING_AWAY,
    "sh",
    await clusterPackage(),
    `${OUTPUT}/without_fencing`,
    file,
  ];
  await runOk(host, repack);
  return file;
}

const TAKE_FENCING_AWAY = `
package=$1; tree=$2; file=$3
rm -rf "$tree"
dpkg-deb --raw-extract "$package" "$tree"
rm -f "$tree"/usr/lib/systemd/system/virtlockd-fence* "$tree/DEBIAN/md5sums"
sed -i /virtlockd-fence/d "$tree/usr/lib/systemd/system/virtlockd-cluster.socket"
sed -i 's/ virtlockd-fence.socket//' "$tree"/DEBIAN/*
sed -i 's/^Version: .*/Version: 0.1.0-1/' "$tree/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$tree" "$file"
rm -rf "$tree"
`;

/** The storage daemon's RPM package, likewise. */
export function storageRpm(version?: string): Promise<string> {
  return packageFile("storage-rpm", ".rpm", version, "storage");
}

async function packageFile(
  kind: string,
  suffix: string,
  version?: string,
  folder = "current",
): Promise<string> {
  const directory = `${OUTPUT}/${version === undefined ? folder : `${folder}-${version}`}`;
  await Deno.mkdir(directory, { recursive: true });
  // Several test runs may come here at once, and builds of one tree disturb each other; the lock goes with
  // the file's descriptor.
  using lock = await Deno.open(`${OUTPUT}/lock`, { create: true, write: true });
  await lock.lock(true);
  const ready = await find(directory, suffix);
  if (ready !== undefined && await isUpToDate(ready)) {
    return ready;
  }
  if (ready !== undefined) {
    await Deno.remove(ready);
  }
  // Tests install it dozens of times, and each time the runtime in it would be unpacked.
  const env: Record<string, string> = { DPKG_DEB_COMPRESSOR_TYPE: "none", XZ_OPT: "-0" };
  if (version !== undefined) env["VIRTLOCKD_VERSION"] = version;
  const builder = [
    Deno.execPath(),
    "run",
    "--allow-all",
    `${TREE}packaging/package.ts`,
    kind,
    "--output",
    directory,
  ];
  await runOk(host, builder, { env, deadline: 600_000 });
  const built = await find(directory, suffix);
  if (built === undefined) {
    throw new Error(`Build a package: packaging/package.ts ${kind} left no ${suffix} file in ${directory}`);
  }
  return built;
}

async function find(directory: string, suffix: string): Promise<string | undefined> {
  const entries = await Array.fromAsync(Deno.readDir(directory));
  const entry = entries.find(({ name }) => name.endsWith(suffix));
  return entry === undefined ? undefined : `${directory}/${entry.name}`;
}

async function isUpToDate(file: string): Promise<boolean> {
  const sources = SOURCES.map((name) => TREE + name);
  return await runOk(host, ["find", ...sources, "-newer", file, "-print", "-quit"]) === "";
}

/**
 * Installs Debian packages in a machine, all at once, also once more, or in the place of any other version.
 * What they depend on has to be there.
 */
export async function install(machine: Machine, ...files: readonly [string, ...string[]]): Promise<void> {
  // apt would compute four checksums of the runtime in a package, each time.
  await machine.sh(`dpkg -i ${(await copyIn(machine, files)).join(" ")}`);
}

/**
 * {@link install}, as an administrator does it, and with what the packages depend on. The machine has no
 * network: only what is in it, or was, can be depended on.
 */
export async function installByApt(
  machine: Machine,
  ...files: readonly [string, ...string[]]
): Promise<void> {
  const options = "-q -y --no-install-recommends --allow-downgrades --reinstall";
  await machine.sh(`apt-get install ${options} ${(await copyIn(machine, files)).join(" ")}`);
}

/** @returns where the packages are in the machine */
async function copyIn(machine: Machine, files: readonly string[]): Promise<string[]> {
  const inside = files.map((_, index) => `/root/package${index}.deb`);
  for (const [index, file] of files.entries()) await machine.copyIn(file, `/root/package${index}.deb`);
  return inside;
}
