import { CACHE } from "./cache.ts";
import { host, runOk } from "./command.ts";
import type { Release } from "./releases.ts";
import { rootFilesystem } from "./root_filesystem.ts";

// Debian builds libvirt's monolithic daemon only. Its source package has the modular ones too.

const TOOLS = [
  "meson",
  "ninja-build",
  "gcc",
  "pkg-config",
  "gettext",
  "xsltproc",
  "libxml2-utils",
  "python3-docutils",
  "dpkg-dev",
  "patch",
];
const LIBRARIES = [
  "libxml2-dev",
  "libglib2.0-dev",
  "libgnutls28-dev",
  "libtirpc-dev",
  "libyajl-dev",
  "libjson-c-dev",
  "libnl-3-dev",
  "libnl-route-3-dev",
  "libudev-dev",
  "libpciaccess-dev",
  "libcap-ng-dev",
  "libblkid-dev",
  "libattr1-dev",
  "libreadline-dev",
];
const DRIVERS = ["qemu", "remote", "secrets", "libvirtd"].map((name) => `-Ddriver_${name}=enabled`);
const FEATURES = ["polkit", "udev", "pciaccess", "capng", "libnl", "attr", "readline", "blkid", "storage_fs"]
  .map((name) => `-D${name}=enabled`);
const OPTIONS = [
  "-Dauto_features=disabled",
  "-Dsystem=true",
  "--libdir=/usr/lib/x86_64-linux-gnu",
  "-Drunstatedir=/run",
  "-Dqemu_user=root",
  "-Dqemu_group=root",
  "-Dinit_script=systemd",
  ...DRIVERS,
  ...FEATURES,
];

// A mirror may lack the description of the source package, but have its archives.
const SCRIPT = `
set -eu
place=$1; lower=$2; release=$3; mirror=$4; packages=$5; options=$6
mkdir -p "$place/upper" "$place/work" "$place/root"
mount -t overlay -o "lowerdir=$lower,upperdir=$place/upper,workdir=$place/work" overlay "$place/root"
root=$place/root
mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"; mount -t tmpfs tmpfs "$root/tmp"
cp --remove-destination /etc/resolv.conf "$root/etc/resolv.conf"
printf '#!/bin/sh\\nexit 101\\n' >"$root/usr/sbin/policy-rc.d"; chmod +x "$root/usr/sbin/policy-rc.d"
echo "deb-src $mirror $release main" >"$root/etc/apt/sources.list.d/sources.list"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  chroot "$root" sh -euc '
  apt-get update -q
  apt-get install -y -q --no-install-recommends $1
  mkdir /build; cd /build
  apt-get source -q --download-only libvirt || ls libvirt_*.orig.tar.xz libvirt_*.debian.tar.xz
  tar xf libvirt_*.orig.tar.xz
  cd libvirt-*/
  tar xf ../libvirt_*.debian.tar.xz
  for patch in $(grep -v "^#" debian/patches/series); do patch -s -p1 <"debian/patches/$patch"; done
  json=yajl; if grep -q json_c meson_options.txt; then json=json_c; fi
  meson setup /build/made --prefix=/usr --sysconfdir=/etc --localstatedir=/var $2 -D$json=enabled
  nice ninja -C /build/made
  DESTDIR=/build/installed meson install -C /build/made --no-rebuild
' sh "$packages" "$options"
`;

/**
 * libvirt's modular daemons of a release, as files to lie over those of {@link rootFilesystem}. Built once,
 * which takes some minutes and the network, and kept in {@link CACHE}.
 *
 * @returns their directory: nobody may write to it
 * @throws CommandError when it cannot be built; the next call starts anew
 */
export async function modularLibvirt(release: Release): Promise<string> {
  const lower = await rootFilesystem(release);
  const place = `${CACHE}/modular-${release}`;
  using lock = await Deno.open(`${place}.lock`, { create: true, write: true });
  await lock.lock(true);
  const kept = `${place}/upper/build/installed`;
  if ((await host.run(["test", "-d", place])).code === 0) return kept;
  const unfinished = `${place}.unfinished`;
  await runOk(host, ["rm", "-rf", "--one-file-system", unfinished]);
  const mirror = /^deb (\S+)/m.exec(await Deno.readTextFile(`${lower}/etc/apt/sources.list`))?.[1] ?? "";
  const script = ["sh", "-c", SCRIPT, "sh", unfinished, lower, release, mirror];
  const packages = [...TOOLS, ...LIBRARIES].join(" ");
  const namespace = ["unshare", "--mount", "--propagation", "private"];
  const deadline = 1_500_000;
  await runOk(host, [...namespace, ...script, packages, OPTIONS.join(" ")], { deadline });
  await Deno.rename(unfinished, place);
  return kept;
}
