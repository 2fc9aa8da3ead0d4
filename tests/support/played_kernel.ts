import { METAL } from "./played_machine.ts";

const BOOT_ID = "/proc/sys/kernel/random/boot_id";

/**
 * A root directory in which everything is as outside, but for what the kernel tells of the machine:
 * /sys/class and the firmware's tables are a machine's that is made up, and no mark of a container is there.
 */
const SCRIPT = `
set -e
files=$1
root=$files/root
mkdir "$root"
mount -t tmpfs -o mode=755 root "$root"
for entry in /* ; do
  [ -L "$entry" ] && cp -a "$entry" "$root$entry"
  if [ -d "$entry" ] && [ ! -L "$entry" ]; then mkdir "$root$entry"; mount --rbind "$entry" "$root$entry"; fi
done
[ ! -d "$root/sys/firmware" ] || mount -t tmpfs firmware "$root/sys/firmware"
[ ! -d "$root/sys/hypervisor" ] || mount -t tmpfs hypervisor "$root/sys/hypervisor"
mount --bind "$files/class" "$root/sys/class"
mount --bind "$files/boot_id" "$root${BOOT_ID}"
mount --bind "$files/cpuinfo" "$root/proc/cpuinfo"
mount --bind "$files/machine-id" "$root/etc/machine-id"
cp -a "$files/top/." "$root"
cd "$root"
exec chroot "$root" sh -c 'echo ready; exec cat'
`;

/**
 * A kernel that tells of itself what a test wants it to, for the processes that are run in it. Nothing of the
 * product knows of it: the files that it reads are others. Needs root. Disposing of it ends its namespace,
 * when its last process has gone.
 */
export class PlayedKernel implements AsyncDisposable {
  readonly #directory: string;
  readonly #child: Deno.ChildProcess;

  private constructor(directory: string, child: Deno.ChildProcess) {
    this.#directory = directory;
    this.#child = child;
  }

  /** Makes one, of a server of bare metal. @param files others by their paths; undefined: it is not there */
  static async create(files: Readonly<Record<string, string | undefined>> = {}): Promise<PlayedKernel> {
    const directory = Deno.makeTempDirSync({ prefix: "virtlockd-kernel-" });
    // Everybody reads what the kernel tells.
    Deno.chmodSync(directory, 0o755);
    const all = { ...METAL, ...files };
    for (const name of ["class/dmi/id", "top"]) Deno.mkdirSync(`${directory}/${name}`, { recursive: true });
    const put = (name: string, text: string) => Deno.writeTextFileSync(`${directory}/${name}`, text);
    put("boot_id", `${crypto.randomUUID()}\n`);
    put("cpuinfo", all["/proc/cpuinfo"] ?? "");
    put("machine-id", all["/etc/machine-id"] ?? "");
    for (const [path, text] of Object.entries(all)) {
      if (text === undefined) continue;
      if (path.startsWith("/sys/class/")) put(path.slice("/sys/".length), text);
      else if (path.lastIndexOf("/") === 0) put(`top${path}`, text);
    }
    const child = new Deno.Command("unshare", {
      args: ["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh", directory],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    const kernel = new PlayedKernel(directory, child);
    if (value !== undefined) return kernel;
    await kernel[Symbol.asyncDispose]();
    throw new Error("Play a kernel: its namespace could not be set up");
  }

  /** The command line that runs a command in it; it stays the same process. */
  get enter(): readonly string[] {
    return ["nsenter", `--target=${this.#child.pid}`, "--mount", "--root", "--wdns=/", "--"];
  }

  /** It is another start of it from now on. */
  reboot(): void {
    Deno.writeTextFileSync(`${this.#directory}/boot_id`, `${crypto.randomUUID()}\n`);
  }

  /** The firmware tells something else from now on, or nothing, as where its tables are missing. */
  firmware(name: string, text: string | undefined): void {
    const path = `${this.#directory}/class/dmi/id/${name}`;
    if (text === undefined) Deno.removeSync(path);
    else Deno.writeTextFileSync(path, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
    Deno.removeSync(this.#directory, { recursive: true });
  }
}
