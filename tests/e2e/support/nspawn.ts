import { host, type Output, runOk, type RunOptions, type Site } from "./command.ts";
import { Keeper } from "./keeper.ts";
import { type Release, type ReleaseSetup, SETUPS } from "./releases.ts";
import { rootFilesystem } from "./root_filesystem.ts";
import { until } from "../../support/until.ts";

// The container gets a cgroup of its own, because containers that share one see each other's processes when
// systemd kills a unit, and systemd-nspawn a /run of its own, where it keeps state by machine name. Without
// the files .updated systemd would take the machine for updated, and make the linker's cache and more anew.
const SCRIPT = `
set -e
name=$1; directory=$2; root=$3; hierarchy=$4; guests=$5; upper=\${6:-$2/upper}
nspawn=; groups=
clean() {
  set +e
  if [ -n "$nspawn" ]; then
    pkill -KILL -P "$nspawn"
    wait "$nspawn"
  fi
  umount -q "$directory/root"
  for group in $groups; do find "$group" -depth -type d -exec rmdir {} +; done
  rm -rf --one-file-system "$directory"
}
trap clean EXIT
for tree in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
  [ -f "$tree/cgroup.procs" ] || continue
  mkdir "$tree/$name"
  groups="$groups $tree/$name"
done
mount -t tmpfs -o mode=755 lab /run
mkdir -p "$upper" "$directory/work" "$directory/root"
mount -t overlay -o "volatile,lowerdir=$root,upperdir=$upper,workdir=$directory/work" overlay "$directory/root"
touch "$directory/root/etc/.updated" "$directory/root/var/.updated"
sh -c '
  for group in $2; do echo $$ >"$group/cgroup.procs"; done
  [ "$4" = detected ] || export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
  exec systemd-nspawn --quiet --directory="$1/root" --machine="$3" --register=no --keep-unit --private-network \
    --capability=CAP_SYS_RESOURCE \${5:+"--bind=$5:/var/lib/guests"} --boot
' sh "$directory" "$groups" "$name" "$hierarchy" "$guests" </dev/null >"$directory/console" 2>&1 &
nspawn=$!
echo "$nspawn"
cat >/dev/null
`;

/** How long a machine may take to boot where others keep processors and disk busy, in ms. */
const BOOT_MS = 180_000;

/** What else there is to a machine. */
export interface BootOptions {
  /** Directory of this host that is its /var/lib/guests: storage that several machines share. */
  guests?: string;
  /** Instead of that of {@link SETUPS}. */
  hierarchy?: ReleaseSetup["hierarchy"];
  /** Directory of this host whose files lie over those of the release. */
  above?: string;
  /**
   * Directory of this host, below /var/tmp, that keeps what the machine writes: one that is booted with it
   * again goes on where this one was switched off.
   */
  disk?: string;
  /** Called with the pid of its init, before everything has started: for what it has to find then. */
  begun?: (init: number) => Promise<void>;
}

/**
 * A Debian of its own with systemd as its init, libvirt and QEMU installed, and no network.
 *
 * It starts clean every time unless it has a disk, and disposing of it leaves nothing else behind. Root only.
 */
export class Machine implements Site, AsyncDisposable {
  readonly #keeper: Keeper;
  /** Pid of the container's init, seen from outside. */
  readonly init: number;
  /** What it is. */
  readonly release: Release;

  private constructor(keeper: Keeper, init: number, release: Release) {
    this.#keeper = keeper;
    this.init = init;
    this.release = release;
  }

  /**
   * Boots one and waits until systemd has started everything.
   *
   * @throws Error with the console's text when it does not come up, or with the units that failed
   */
  static async boot(release: Release = "bookworm", options: BootOptions = {}): Promise<Machine> {
    const root = await rootFilesystem(release);
    const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-machine-" });
    const name = directory.slice(directory.lastIndexOf("/") + 1);
    const keeper = await Keeper.start(SCRIPT, [
      name,
      directory,
      options.above === undefined ? root : `${options.above}:${root}`,
      options.hierarchy ?? SETUPS[release].hierarchy,
      options.guests ?? "",
      options.disk ?? "",
    ]);
    try {
      const init = await findInit(Number(keeper.said));
      await options.begun?.(init);
      const machine = new Machine(keeper, init, release);
      await machine.#waitForUnits();
      return machine;
    } catch (error) {
      const console = await Deno.readTextFile(`${directory}/console`);
      await keeper[Symbol.asyncDispose]();
      throw new Error(`Cannot boot a machine; its console:\n${console}`, { cause: error });
    }
  }

  async #waitForUnits(): Promise<void> {
    const state = await until("systemd to finish its start", async () => {
      const { stdout } = await this.run(["systemctl", "is-system-running"]);
      const state = stdout.trim();
      return (state === "running" || state === "degraded") && state;
    }, BOOT_MS);
    if (state === "degraded") {
      throw new Error(`Boot a machine: units failed\n${await this.sh("systemctl --failed --no-pager")}`);
    }
  }

  /** Runs a command in the machine, outside any unit. */
  run(argv: readonly string[], options?: RunOptions): Promise<Output> {
    return host.run(["nsenter", `--target=${this.init}`, "--all", "--", ...argv], options);
  }

  /**
   * Runs a shell script in the machine, which ends at the first failing command.
   *
   * @returns its standard output
   * @throws CommandError
   */
  sh(script: string, options?: RunOptions): Promise<string> {
    return runOk(this, ["sh", "-ec", script], options);
  }

  /** {@link sh}, but with the network of this host: for apt, which has to fetch something. */
  online(script: string, options?: RunOptions): Promise<string> {
    const namespaces = ["--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd"];
    const argv = ["nsenter", `--target=${this.init}`, ...namespaces, "--", "sh", "-ec", script];
    return runOk(host, argv, options);
  }

  /** Name under which a path of the machine is reached from outside. */
  outside(path: string): string {
    return `/proc/${this.init}/root${path}`;
  }

  /** Copies a file of the host into the machine, with its mode. */
  async copyIn(from: string, to: string): Promise<void> {
    await Deno.copyFile(from, this.outside(to));
  }

  /** Copies a file of the machine to the host, with its mode. */
  async copyOut(from: string, to: string): Promise<void> {
    await Deno.copyFile(this.outside(from), to);
  }

  /** What the journal has on a unit, without timestamps and host name. */
  journal(unit: string): Promise<string> {
    return this.sh(`journalctl --sync; journalctl --no-pager --output=cat --unit='${unit}'`);
  }

  /** Switches it off hard and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#keeper[Symbol.asyncDispose]();
  }
}

/**
 * The container's init, a child of systemd-nspawn. It is told by its pid inside: another child, which only
 * prepares the file systems, comes and goes before it.
 */
async function findInit(nspawn: number): Promise<number> {
  return await until("the container's init", async () => {
    const children = await Deno.readTextFile(`/proc/${nspawn}/task/${nspawn}/children`);
    for (const child of children.trim().split(" ").filter((pid) => pid !== "")) {
      const status = await readIfAlive(`/proc/${child}/status`);
      if (/^NSpid:\t.*\t1$/m.test(status)) {
        return Number(child);
      }
    }
    return undefined;
  });
}

/** "" when the process has ended. */
async function readIfAlive(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    // ESRCH, when it ended between open and read, has no class of its own.
    if (error instanceof Deno.errors.NotFound || /\(os error 3\)/.test(String(error))) {
      return "";
    }
    throw error;
  }
}
