// A virtual machine with Debian's kernel, in which a test runs where this host's kernel has not what it
// takes. Nothing of this host is used but its CPU (emulation, no KVM).
import { host, runOk } from "../e2e/support/command.ts";
import { installMissing } from "../e2e/support/debian_packages.ts";
import { debianDisk } from "./debian_disk.ts";

const TREE = new URL("../..", import.meta.url).pathname;
const MINUTE = 60_000;
/** Said when everything was as it should be. */
const PASSED = "THE TEST HAS PASSED";

/** What runs in a machine. */
export interface InsideTest {
  /** What it is called in the cache, with the number of its packages: a change of these needs another one. */
  readonly name: string;
  /** Packages of Debian 12 that are in it. */
  readonly packages: readonly string[];
  /** Shell script of the machine's first process; `/tree/deno` is the runtime, and /tree this one. */
  readonly script: string;
  /** What the machine has besides, as arguments of QEMU. @param directory for files that go with it */
  readonly hardware?: (directory: string) => Promise<readonly string[]>;
}

/** The machine's first process. */
function init(script: string): string {
  return `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root NO_COLOR=1
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /tmp
ip link set lo up
mkdir -p /tree /run/libvirt /run/rpc_pipefs /var/log/libvirt
mount -o ro /dev/vdb /tree
(${script}
) && echo '${PASSED}'
echo o >/proc/sysrq-trigger; sleep 60
`;
}

/** Builds the programs, and runs a test in a machine to its end. @returns whether it has passed */
export async function passesInside({ name, packages, script, hardware }: InsideTest): Promise<boolean> {
  await installMissing(["mmdebstrap", "qemu-system-x86", "e2fsprogs"]);
  const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-machine-" });
  try {
    const root = await debianDisk(name, packages, directory);
    await Deno.mkdir(`${directory}/tree`);
    await runOk(host, ["deno", "task", "--cwd", TREE, "build"], { deadline: MINUTE });
    const names = ["src", "tests", "deno.json", "deno.lock", "node_modules", "virtlockd", "virtstoraged"];
    for (const each of names) await runOk(host, ["cp", "-aL", `${TREE}${each}`, `${directory}/tree/`]);
    await runOk(host, ["cp", Deno.execPath(), `${directory}/tree/deno`]);
    await Deno.writeTextFile(`${directory}/tree/init`, init(script), { mode: 0o755 });
    const tree = `${directory}/tree.ext4`;
    await runOk(host, ["mkfs.ext4", "-q", "-d", `${directory}/tree`, tree, "400M"], { deadline: MINUTE });
    const console = await boot(root, tree, await hardware?.(directory) ?? []);
    return console.includes(PASSED);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Runs a machine to its end. @returns its console, which is printed as it comes */
async function boot(root: string, tree: string, hardware: readonly string[]): Promise<string> {
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
      ...hardware,
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
