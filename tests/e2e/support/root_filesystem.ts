import { CACHE } from "./cache.ts";
import { host, runOk } from "./command.ts";
import { installMissing } from "./debian_packages.ts";
import { type Release, SETUPS } from "./releases.ts";

const SOURCES = "/etc/apt/sources.list.d/debian.sources";
const COMMON = [
  "systemd",
  "systemd-sysv",
  "dbus",
  "qemu-system-x86",
  "qemu-utils",
  "python3-minimal",
  "procps",
  "bash-completion",
];

/**
 * Leaves in apt's lists what it has packages of. It would read sixty thousand others at each call, and put
 * them into a cache of its own at the first call in every machine.
 */
const SHORTEN_LISTS = `
set -e
cd "$1"
ls var/cache/apt/archives | sed -n 's/_.*deb$//p' >names
for list in var/lib/apt/lists/*_Packages; do
  awk 'NR == FNR { wanted[$1]; next } $2 in wanted' names RS= ORS='\\n\\n' "$list" >short
  cat short >"$list"
done
rm names short
`;

/**
 * systemd runs all generators at its start and at each daemon-reload, of which every package causes some: a
 * dozen processes that find nothing here.
 */
const MASK_GENERATORS = `
set -e
mkdir -p "$1/etc/systemd/system-generators"
for generator in "$1"/usr/lib/systemd/system-generators/*; do
  ln -s /dev/null "$1/etc/systemd/system-generators/\${generator##*/}"
done
`;

/** Lets libvirtd ask QEMU what it can, which it would do in every machine, and keeps what it was told. */
const ASK_QEMU = `
set -e
unshare --mount --pid --fork --kill-child chroot "$1" sh -ec '
  mount -t tmpfs lab /run
  mount -t tmpfs lab /etc/libvirt
  libvirtd >/dev/null 2>&1 &
  tries=0
  until virsh -q -c qemu:///system domcapabilities --virttype qemu >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 400 ]
    sleep 0.3
  done
'
find "$1/var/lib/libvirt" "$1/var/cache/libvirt" -type f
`;

/** Without the downloaded packages and lists a machine, which has no network, could install nothing again. */
const BUILDER = [
  "mmdebstrap",
  "--quiet",
  "--mode=root",
  "--variant=minbase",
  "--skip=cleanup/apt",
  "--dpkgopt=force-unsafe-io",
  '--aptopt=APT::Install-Recommends "false"',
  '--aptopt=Acquire::Languages "none"',
  // The mirror may be a copy that is older than the time for which its lists are good.
  '--aptopt=Acquire::Check-Valid-Until "false"',
  // It would wait for minutes for guests without an operating system to shut down.
  '--customize-hook=systemctl --quiet --root="$1" mask libvirt-guests.service',
  `--customize-hook=${MASK_GENERATORS}`,
  `--customize-hook=${ASK_QEMU}`,
  `--customize-hook=${SHORTEN_LISTS}`,
];

/**
 * A Debian with systemd, libvirt and QEMU in it, to be used as the lower layer of overlays: nobody may write
 * to it.
 *
 * It is made once, in about half a minute, and kept in {@link CACHE} until it is asked for with other
 * packages. apt finds the packages that it was made from in its cache.
 *
 * @returns its directory
 * @throws CommandError when it cannot be made; the next call starts anew
 */
export async function rootFilesystem(release: Release): Promise<string> {
  await installMissing(["systemd-container", "mmdebstrap"]);
  const packages = [...COMMON, ...SETUPS[release].libvirt];
  const root = `${CACHE}/${release}-${await fingerprint([...BUILDER, ...packages])}`;
  await Deno.mkdir(CACHE, { recursive: true });
  // Two test runs may come here at once; the lock goes with the file's descriptor.
  using lock = await Deno.open(`${CACHE}/${release}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (await exists(root)) {
    return root;
  }
  const unfinished = `${root}.unfinished`;
  if (await exists(unfinished)) {
    await runOk(host, ["rm", "-rf", "--one-file-system", unfinished]);
  }
  const command = [...BUILDER, `--include=${packages.join()}`, release, unfinished, await mirror()];
  await runOk(host, command, { deadline: 900_000 });
  await Deno.rename(unfinished, root);
  return root;
}

/** Short name for what a root file system is made from. */
async function fingerprint(parts: readonly string[]): Promise<string> {
  const text = new TextEncoder().encode(parts.join("\n"));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex().slice(0, 12);
}

/** Where this host gets its own packages from. */
export async function mirror(): Promise<string> {
  const url = /^URIs:\s*(\S+)/m.exec(await Deno.readTextFile(SOURCES))?.[1];
  if (url === undefined) {
    throw new Error(`Read ${SOURCES}: found no URIs line, want the address of a Debian mirror`);
  }
  return url;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return false;
    }
    throw error;
  }
}
