import { CACHE } from "./cache.ts";
import { host, runOk } from "./command.ts";
import { installMissing, LIBVIRT_PACKAGES } from "./debian_packages.ts";

const RELEASE = "bookworm";
const SOURCES = "/etc/apt/sources.list.d/debian.sources";
const INCLUDE = ["systemd", "systemd-sysv", "dbus"];
const PACKAGES = [...LIBVIRT_PACKAGES, "python3-minimal", "procps", "bash-completion"];

// The chroot's package scripts must start nothing: there is no init in it yet. libvirt-guests would wait for
// minutes for guests without an operating system to shut down.
const INSTALL = `
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
printf '#!/bin/sh\\nexit 101\\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
export DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get update -q
chroot "$root" apt-get install -y -q --no-install-recommends "$@"
chroot "$root" apt-get clean
chroot "$root" systemctl mask libvirt-guests.service
rm "$root/usr/sbin/policy-rc.d"
`;

/**
 * A Debian with systemd, libvirt and QEMU in it, to be used as the lower layer of overlays: nobody may write
 * to it.
 *
 * It is made once, in about a minute, and kept in {@link CACHE} until it is asked for with other packages.
 *
 * @returns its directory
 * @throws CommandError when debootstrap or apt-get fails; the next call starts anew
 */
export async function rootFilesystem(): Promise<string> {
  await installMissing(["systemd-container", "debootstrap"]);
  const root = `${CACHE}/${RELEASE}-${await fingerprint([...INCLUDE, INSTALL, ...PACKAGES])}`;
  await Deno.mkdir(CACHE, { recursive: true });
  // Two test runs may come here at once; the lock goes with the file's descriptor.
  using lock = await Deno.open(`${CACHE}/lock`, { create: true, write: true });
  await lock.lock(true);
  if (await exists(root)) {
    return root;
  }
  const unfinished = `${root}.unfinished`;
  if (await exists(unfinished)) {
    await runOk(host, ["rm", "-rf", "--one-file-system", unfinished]);
  }
  await build(unfinished);
  await Deno.rename(unfinished, root);
  return root;
}

/** Short name for what a root file system is made from. */
async function fingerprint(parts: readonly string[]): Promise<string> {
  const text = new TextEncoder().encode(parts.join("\n"));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex().slice(0, 12);
}

async function build(root: string): Promise<void> {
  const options = { deadline: 900_000 };
  const variant = ["--variant=minbase", `--include=${INCLUDE.join()}`];
  await runOk(host, ["debootstrap", ...variant, RELEASE, root, await mirror()], options);
  await Deno.copyFile(SOURCES, `${root}${SOURCES}`);
  await Deno.writeTextFile(`${root}/etc/apt/sources.list`, "");
  // The mounts of the script end with its namespace.
  const namespace = ["unshare", "--mount", "--propagation", "private"];
  await runOk(host, [...namespace, "sh", "-c", INSTALL, "sh", root, ...PACKAGES], options);
}

/** Where this host gets its own packages from. */
async function mirror(): Promise<string> {
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
