// `deno task test:nfs`, as root: the lock daemon on a real NFS export with root_squash, in a virtual machine
// with Debian's kernel, whose own nfsd serves it; `deno task test:nfs storage`: the storage daemon's pools on
// such exports. Nothing of this host is used but its CPU (emulation, no KVM). It ends with code 1 when
// something is not as it should be. What it looks at is in inside.ts and storage_inside.ts.
import { host, runOk } from "../e2e/support/command.ts";
import { CACHE } from "../e2e/support/cache.ts";
import { installMissing } from "../e2e/support/debian_packages.ts";
import { mirror } from "../e2e/support/root_filesystem.ts";
import { exitProcess } from "../../src/os/runtime.ts";

const TREE = new URL("../..", import.meta.url).pathname;
const MINUTE = 60_000;
const PACKAGES = [
  "linux-image-amd64",
  "kmod",
  "iproute2",
  "procps",
  "util-linux",
  "nfs-kernel-server",
  "nfs-common",
  "qemu-utils",
  "libvirt-clients",
];
/** Said by {@link INIT} when everything was as it should be. */
const PASSED = "NFS TEST PASSED";

/** What the machine's first process does with the exports, by what is tested. */
const TESTS = {
  locks: `
exportfs -o rw,root_squash,fsid=0,no_subtree_check localhost:/srv/export
rpc.mountd --no-nfs-version 2 --no-nfs-version 3
rpc.nfsd --no-nfs-version 3 4
mount -t nfs4 -o nosharecache localhost:/ /mnt/nfs && cd /tree && /tree/deno run -A --no-check tests/nfs/inside.ts`,
  storage: `
mkdir -p /srv/squashed && mount -t tmpfs -o mode=755 tmpfs /srv/squashed
exportfs -o rw,no_root_squash,fsid=5,no_subtree_check localhost:/srv/export
exportfs -o rw,root_squash,fsid=6,no_subtree_check localhost:/srv/squashed
rpcbind -w
rpc.mountd --no-nfs-version 2
rpc.nfsd --no-nfs-version 3 4
cd /tree && /tree/deno run -A --no-check tests/nfs/storage_inside.ts`,
};
const tested = Deno.args[0] === "storage" ? "storage" : "locks";

/** The machine's first process. */
const INIT = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
ip link set lo up
mkdir -p /tree /run/libvirt /run/rpc_pipefs /var/log/libvirt
mount -o ro /dev/vdb /tree
mkdir -p /srv/export /mnt/nfs && mount -t tmpfs tmpfs /srv/export
modprobe nfsd
mount -t nfsd nfsd /proc/fs/nfsd
useradd --uid 1000 --user-group owner; useradd --uid 1001 --user-group other
(${TESTS[tested]}
) && echo '${PASSED}'
echo o >/proc/sysrq-trigger; sleep 60
`;

await installMissing(["mmdebstrap", "qemu-system-x86", "e2fsprogs"]);
const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-nfs-" });
let passed = false;
try {
  const root = await rootFilesystem();
  await Deno.mkdir(`${directory}/tree`);
  await runOk(host, ["deno", "task", "--cwd", TREE, "build"], { deadline: MINUTE });
  for (
    const name of ["src", "tests", "deno.json", "deno.lock", "node_modules", "virtlockd", "virtstoraged"]
  ) {
    await runOk(host, ["cp", "-aL", `${TREE}${name}`, `${directory}/tree/`]);
  }
  await runOk(host, ["cp", Deno.execPath(), `${directory}/tree/deno`]);
  await Deno.writeTextFile(`${directory}/tree/init`, INIT, { mode: 0o755 });
  const tree = `${directory}/tree.ext4`;
  await runOk(host, ["mkfs.ext4", "-q", "-d", `${directory}/tree`, tree, "400M"], { deadline: MINUTE });
  const console = await boot(root, tree);
  passed = console.includes(PASSED);
} finally {
  await Deno.remove(directory, { recursive: true });
}
exitProcess(passed ? 0 : 1);

/** Runs a machine to its end. @returns its console, which is printed as it comes */
async function boot(root: string, tree: string): Promise<string> {
  const drive = (
    file: string,
    snapshot: string,
  ) => ["-drive", `file=${file},if=virtio,format=raw,${snapshot}`];
  const machine = new Deno.Command("qemu-system-x86_64", {
    args: [
      ...["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "2048"],
      ...["-nographic", "-no-reboot", "-nodefaults", "-serial", "stdio"],
      ...["-kernel", `${root}.vmlinuz`, "-initrd", `${root}.initrd`],
      ...["-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1 init=/usr/local/sbin/test-init"],
      ...drive(`${root}.ext4`, "snapshot=on"),
      ...drive(tree, "readonly=on"),
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const late = setTimeout(() => machine.kill("SIGKILL"), 20 * MINUTE);
  let text = "";
  for await (const part of machine.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    await Deno.stdout.write(new TextEncoder().encode(part));
  }
  await machine.status;
  clearTimeout(late);
  return text;
}

/**
 * A Debian with nfsd as an image, its kernel and its initial file system beside it, made once.
 *
 * @returns its path without the suffix
 */
async function rootFilesystem(): Promise<string> {
  const root = `${CACHE}/nfs-${PACKAGES.length}`;
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
    `--include=${PACKAGES.join()}`,
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
  return root;
}
