import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const CONFIG = "max_clients = 20000\nadmin_max_clients = 10\n";

/** Files in memory, so that the disk and its journal are not what is measured. */
const MEMORY = "/dev/shm";

/** Where the places are made. */
export function parentDirectory(): string {
  return existsSync(MEMORY) ? MEMORY : tmpdir();
}

/**
 * A directory in which one daemon has everything to itself, and how to start programs that see it.
 *
 * Root's daemons have fixed paths in /run and /etc/libvirt, so for root private directories are mounted
 * there, in a mount namespace that a keeper process holds; for other users the XDG variables are enough. So
 * the daemons need no arguments, as under their units.
 */
export class Place {
  /** Command to put before a program so that it starts inside. */
  readonly prefix: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The daemon's socket, seen from outside. */
  readonly socket: string;
  /** A directory for lock files. */
  readonly lockspace: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly #directory: string;
  readonly #keeper: Deno.ChildProcess | undefined;

  private constructor(directory: string, keeper: Deno.ChildProcess | undefined) {
    this.#directory = directory;
    this.#keeper = keeper;
    this.prefix = keeper === undefined ? [] : ["nsenter", `--target=${keeper.pid}`, "--mount", "--"];
    this.environment = {
      HOME: directory,
      XDG_RUNTIME_DIR: join(directory, "run"),
      XDG_CONFIG_HOME: join(directory, "config"),
      XDG_CACHE_HOME: join(directory, "cache"),
      // One for all: a daemon finds its compiled code here, once its program was asked for its version.
      DENO_DIR: join(parentDirectory(), "virtlockd-bench-deno"),
    };
    this.socket = join(directory, "run/libvirt/virtlockd-sock");
    this.lockspace = join(directory, "lockspace");
    this.configFile = configFile(directory);
    this.logFile = join(directory, "log");
  }

  /** Makes a new one in {@link parentDirectory}. */
  static async make(): Promise<Place> {
    const directory = mkdtempSync(join(parentDirectory(), "virtlockd-bench-"));
    mkdirSync(join(directory, "run"));
    mkdirSync(join(directory, "config/libvirt"), { recursive: true });
    mkdirSync(join(directory, "lockspace"), { mode: 0o700 });
    writeFileSync(configFile(directory), CONFIG);
    return new Place(directory, Deno.uid() === 0 ? await holdNamespace(directory) : undefined);
  }

  /** A path in the directory. */
  path(name: string): string {
    return join(this.#directory, name);
  }

  /** Removes everything. The programs inside must have ended. */
  async remove(): Promise<void> {
    if (this.#keeper !== undefined) {
      this.#keeper.kill("SIGKILL");
      await this.#keeper.status;
    }
    rmSync(this.#directory, { recursive: true });
  }
}

/** Where a daemon looks for its configuration. */
function configFile(directory: string): string {
  return join(directory, "config/libvirt/virtlockd.conf");
}

/** Starts a process that holds a mount namespace in which a place is /run and /etc/libvirt. */
async function holdNamespace(directory: string): Promise<Deno.ChildProcess> {
  const keeper = new Deno.Command("unshare", {
    args: [
      "--mount",
      "--",
      "sh",
      "-c",
      'mount --bind "$0/run" /run && mount --bind "$0/config/libvirt" /etc/libvirt && ' +
      "echo ready && exec sleep infinity",
      directory,
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = keeper.stdout.getReader();
  const { done } = await reader.read();
  await reader.cancel();
  if (done) throw new Error("Mount a private /run and /etc/libvirt: unshare or mount failed, see above");
  return keeper;
}
