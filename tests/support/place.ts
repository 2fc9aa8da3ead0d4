import { VIRTLOCKD } from "../../src/lockd/identity/identity.ts";
import { defaultPaths, type Paths } from "../../src/chassis/config/paths.ts";
import { type LockPaths, lockPaths } from "../../src/lockd/identity/lock_paths.ts";
import { PATIENCE_MS } from "./until.ts";
import { inUserNamespace } from "./user_namespace.ts";

/**
 * The user that the processes of a root's test run take themselves for. Not 65534: the kernel shows them
 * every user but their own as that one.
 */
const USER = 1000;

/**
 * A directory for one daemon and its clients, with an environment that makes them keep to it.
 *
 * The daemon of root has fixed paths. So in a test run of root's the processes live in a user namespace,
 * where root is an ordinary user: for them the daemon is that of a session, and its peer with root's uid has
 * their own.
 */
export class Place implements Disposable {
  readonly directory: string;
  /** The whole environment of its processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Where a daemon in this place has its files. */
  readonly paths: Paths & LockPaths;
  #launcher: readonly string[];
  #keeper: Deno.ChildProcess | undefined;

  private constructor(directory: string, launcher: readonly string[]) {
    this.directory = directory;
    this.#launcher = launcher;
    this.env = {
      PATH: Deno.env.get("PATH") ?? "/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: directory,
      XDG_RUNTIME_DIR: `${directory}/run`,
      XDG_CONFIG_HOME: `${directory}/config`,
      XDG_CACHE_HOME: `${directory}/cache`,
      DENO_DIR: Deno.env.get("DENO_DIR") ?? denoDirectory(),
      LIBVIRT_LOG_OUTPUTS: "1:stderr",
      NO_COLOR: "1",
      ...kept("DENO_COVERAGE_DIR"),
      ...kept("DENO_NO_UPDATE_CHECK"),
    };
    const paths = defaultPaths(VIRTLOCKD, { uid: USER, env: this.env, exists: () => false });
    this.paths = { ...paths, ...lockPaths(paths) };
  }

  /**
   * Makes one. Dispose of it, and everything in it is gone.
   *
   * @param parent directory in which it is made; that for temporary files when it is not given
   */
  static create(parent?: string): Place {
    const launcher = Deno.uid() === 0 ? inUserNamespace(USER) : [];
    const directory = Deno.makeTempDirSync({
      prefix: "virtlockd-test-",
      ...parent === undefined ? {} : { dir: parent },
    });
    for (const name of ["run", "config", "cache"]) Deno.mkdirSync(`${directory}/${name}`, { mode: 0o700 });
    const place = new Place(directory, launcher);
    place.writeConfig("");
    return place;
  }

  /**
   * Makes one whose processes may look into each other, as root's may: they are in one user namespace. Those
   * of others have one each.
   *
   * @param outer command that runs each of them as its last arguments, e.g. on another kernel
   */
  static createShared(outer: readonly string[] = []): Place {
    const place = Place.create();
    if (place.#launcher.length === 0) {
      place.#launcher = outer;
      return place;
    }
    const [file = "", ...args] = place.command(["/bin/sleep", "infinity"]);
    const keeper = new Deno.Command(file, { args }).spawn();
    place.#keeper = keeper;
    place.#launcher = [
      ...outer,
      "nsenter",
      "--user",
      "--preserve-credentials",
      `--target=${keeper.pid}`,
      "--",
    ];
    // Until the keeper is in its namespace, others would be in the test's.
    const own = Deno.readLinkSync("/proc/self/ns/user");
    while (Deno.readLinkSync(`/proc/${keeper.pid}/ns/user`) === own);
    return place;
  }

  /**
   * Makes one whose processes are root's, in no user namespace: they see all processes of the machine, as a
   * host's daemon does. Their /run and /etc/libvirt are directories of this place. Needs root.
   */
  static createForRoot(): Place {
    const place = Place.create();
    Deno.mkdirSync("/etc/libvirt", { recursive: true });
    const script =
      'mount --bind "$0/run" /run && mount --bind "$0/config/libvirt" /etc/libvirt && exec sleep inf';
    const keeper = new Deno.Command("unshare", {
      // What others unmount meanwhile goes here too.
      args: ["--mount", "--propagation=slave", "--", "sh", "-c", script, place.directory],
    }).spawn();
    place.#keeper = keeper;
    place.#launcher = ["nsenter", `--mount=/proc/${keeper.pid}/ns/mnt`, "--"];
    const end = performance.now() + PATIENCE_MS;
    while (readIfThere(`/proc/${keeper.pid}/comm`)?.trim() !== "sleep") {
      if (performance.now() < end) continue;
      place[Symbol.dispose]();
      throw new Error(`Make mounts of one's own: not within ${PATIENCE_MS} ms`);
    }
    return place;
  }

  /** The command line that runs a command as the user of this place; it stays the same process. */
  command(command: readonly string[]): string[] {
    return [...this.#launcher, ...command];
  }

  /**
   * Writes the daemon's configuration file. Holders of tests always have files of the runtime open for
   * writing, so nobody could tell whether they write anything any more: unless the text says otherwise no
   * lock waits for that.
   */
  writeConfig(text: string): void {
    Deno.mkdirSync(`${this.directory}/config/libvirt`, { recursive: true });
    const settle = text.includes("settle_timeout") ? "" : "\nsettle_timeout = 0\n";
    Deno.writeTextFileSync(this.paths.config, `${text}${settle}`);
  }

  /** Adds lines to the daemon's configuration file. */
  appendConfig(text: string): void {
    Deno.writeTextFileSync(this.paths.config, text, { append: true });
  }

  /** Makes a directory in it; its path. */
  makeDirectory(name: string): string {
    const path = `${this.directory}/${name}`;
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  /** Kills a daemon that went to the background here, and removes the directory. */
  [Symbol.dispose](): void {
    const pid = readNumber(this.paths.pidFile);
    if (pid !== undefined && this.#livesHere(pid)) Deno.kill(pid, "SIGKILL");
    this.#keeper?.kill("SIGKILL");
    Deno.removeSync(this.directory, { recursive: true });
  }

  /** Whether a process has this place's environment: a PID file may name a stranger by now. */
  #livesHere(pid: number): boolean {
    return readIfThere(`/proc/${pid}/environ`)?.includes(`\0HOME=${this.directory}\0`) === true;
  }
}

function kept(name: string): Record<string, string> {
  const value = Deno.env.get(name);
  return value === undefined ? {} : { [name]: value };
}

/** Deno's cache of this user: the processes of a test have another home. */
function denoDirectory(): string {
  return `${Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`}/deno`;
}

function readNumber(path: string): number | undefined {
  const number = Number(readIfThere(path) || "x");
  return Number.isInteger(number) && number > 0 ? number : undefined;
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
