import { CACHE } from "../e2e/support/cache.ts";
import { host, runOk } from "../e2e/support/command.ts";
import { mirror } from "../e2e/support/root_filesystem.ts";

const MINUTE = 60_000;

/**
 * A Debian 12 as a disk, its kernel and its initial file system beside it (`.ext4`, `.vmlinuz`, `.initrd`),
 * made once: nobody may write to it.
 *
 * @param name what it is called in the cache, with the number of its packages: a change of these needs
 *   another one
 * @param directory for what is needed meanwhile
 * @returns its path without the suffix
 */
export async function debianDisk(
  name: string,
  packages: readonly string[],
  directory: string,
): Promise<string> {
  const root = `${CACHE}/${name}-${packages.length}`;
  await Deno.mkdir(CACHE, { recursive: true });
  if ((await host.run(["test", "-e", `${root}.ext4`])).code === 0) return root;
  const files = `${directory}/root`;
  // The program finds its runtime where it was built, and the test's own first process is on the other disk.
  const hook = (script: string) => `--customize-hook=${script}`;
  await runOk(host, [
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    '--aptopt=APT::Install-Recommends "false"',
    '--aptopt=Acquire::Check-Valid-Until "false"',
    `--include=${packages.join()}`,
    hook(
      `printf '#!/bin/sh\\nmkdir -p /tree; mount -t devtmpfs dev /dev 2>/dev/null; mount -o ro /dev/vdb /tree && cp /tree/init /tmp/init && umount /tree && exec sh /tmp/init\\n' >"$1/usr/local/sbin/test-init"; chmod 755 "$1/usr/local/sbin/test-init"`,
    ),
    hook(`mkdir -p "$1$(dirname ${Deno.execPath()})"; ln -s /tree/deno "$1${Deno.execPath()}"`),
    hook(`cp "$1"/boot/vmlinuz-* ${root}.vmlinuz; cp "$1"/boot/initrd.img-* ${root}.initrd`),
    "bookworm",
    files,
    await mirror(),
  ], { deadline: 15 * MINUTE });
  await runOk(host, ["mkfs.ext4", "-q", "-d", files, `${root}.unfinished`, "2G"], { deadline: 5 * MINUTE });
  await Deno.rename(`${root}.unfinished`, `${root}.ext4`);
  await runOk(host, ["rm", "-rf", "--one-file-system", files]);
  return root;
}
