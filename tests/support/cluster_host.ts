import { Daemon, programCommand, type ProgramOptions } from "./daemon.ts";
import type { Etcd } from "./etcd.ts";
import { LockClient, testOwner } from "./lock_client.ts";
import { Place } from "./place.ts";
import { ServiceManager } from "./service_manager.ts";
import { childrenOf } from "./process_usage.ts";
import { testProgram } from "./programs.ts";
import { countLines, reExec } from "./re_exec.ts";
import { TestProcess } from "./test_process.ts";
import { until } from "./until.ts";

const LINK = testProgram(new URL("../../src/etcd/link/run.ts", import.meta.url));
const CONFIG = new URL("../../deno.json", import.meta.url).pathname;
/**
 * Settings with which a host waits for whatever is under way: for its link, which has to be started again,
 * and for other hosts, which are to give a lock.
 */
export const PATIENT = "storage_timeout = 30\ncluster_wait = 60";

/** In the log of a daemon each time that it has become a member. */
const MEMBER = "This host is a member of its cluster";

/**
 * The command that runs the link with etcd from the sources.
 *
 * @param entry main module in its place, which may write files too
 */
export function linkCommand(entry?: string): string[] {
  const writes = entry === undefined ? [] : ["--allow-write"];
  const permissions = ["--allow-net", "--allow-read", "--allow-env", ...writes];
  return [Deno.execPath(), "run", ...permissions, "--config", CONFIG, entry ?? LINK];
}

/** How a host of a cluster differs from others. */
export interface HostOptions {
  /** Added to virtlockd.conf. */
  readonly settings?: string;
  /** Command that runs the link as its last arguments, e.g. in another network namespace. */
  readonly launcher?: readonly string[];
  /** Main module that is run instead of the link's own. */
  readonly link?: string;
  /** Command that runs everything of the host as its last arguments, e.g. on another kernel. */
  readonly outer?: readonly string[];
  /** Where everything of the host is, instead of a place that is made for it; it goes with the host. */
  readonly place?: Place;
  /** Lock directory, which others may have too. */
  readonly space?: string;
  /** "new": nobody has opened the cluster, unless another host of the test has. */
  readonly cluster?: "open" | "new";
}

/** A host of a cluster: a place with a link with etcd, and, when it is started, a daemon. */
export class ClusterHost implements AsyncDisposable {
  readonly place: Place;
  readonly name: string;
  /** Lock directory that is held for the cluster, the host's own. */
  readonly space: string;
  readonly #link: TestProcess;
  readonly #settings: string;
  #daemon: Daemon | undefined;
  #fencing: TestProcess | undefined;
  #ownsPlace = true;

  private constructor(place: Place, name: string, space: string, link: TestProcess, settings: string) {
    this.place = place;
    this.name = name;
    this.space = space;
    this.#link = link;
    this.#settings = settings;
  }

  /** Makes a host and starts its daemon. */
  static async start(
    etcd: Etcd,
    name: string,
    options: HostOptions & { readonly daemon?: ProgramOptions } = {},
  ): Promise<ClusterHost> {
    const host = await ClusterHost.create(etcd, name, options);
    try {
      await host.startDaemon(options.daemon);
      return host;
    } catch (error) {
      await host[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes a host without a daemon. */
  static async create(
    etcd: Etcd,
    name: string,
    { settings = PATIENT, launcher = [], cluster = "open", ...more }: HostOptions = {},
  ): Promise<ClusterHost> {
    if (cluster === "open") await etcd.openCluster("test", ["scsi"]);
    const place = more.place ?? Place.createShared(more.outer);
    const space = more.space ?? place.makeDirectory("scsi");
    Deno.mkdirSync(place.paths.runDir, { recursive: true, mode: 0o700 });
    const config = `cluster_endpoints = [${etcd.urls.map((url) => `"${url}"`).join(", ")}]\n` +
      `cluster_name = "test"\ncluster_host_id = "${name}"\ncluster_lockspaces = ["scsi=${space}"]\n${settings}\n`;
    place.writeConfig(config);
    const socket = `${place.paths.runDir}/virtlockd-cluster-sock`;
    const link = startedForEach(place, socket, linkCommand(more.link), launcher);
    const host = new ClusterHost(place, name, space, link, config);
    await until("the link's socket to be there", () => exists(socket));
    return host;
  }

  get daemon(): Daemon {
    if (this.#daemon === undefined) throw new Error(`Host ${this.name} has no daemon`);
    return this.#daemon;
  }

  /** Starts the daemon, and waits until it is a member of the cluster. */
  async startDaemon(options: ProgramOptions = {}): Promise<void> {
    this.#daemon = await Daemon.start({ ...options, place: this.place });
    await this.#daemon.log.match(new RegExp(MEMBER));
    await this.#registerSpace(this.#daemon.socket);
  }

  /**
   * Has the daemon execute itself anew, and waits until it is a member again. Before, it refuses what it
   * cannot ask etcd for within some seconds, in which its link may not have been started on a busy machine.
   */
  async reExec(): Promise<void> {
    const before = countLines(this.daemon, MEMBER);
    await reExec(this.daemon);
    await until("the next image to be a member", () => countLines(this.daemon, MEMBER) > before);
  }

  /** Starts a daemon that knows nothing of the cluster. */
  async startAlone(settings = "storage_timeout = 3\n"): Promise<void> {
    this.place.writeConfig(settings);
    this.#daemon = await Daemon.start({ place: this.place });
    await this.#registerSpace(this.#daemon.socket);
  }

  /** Where a process that fences is started for whoever connects. */
  get fenceSocket(): string {
    return `${this.place.paths.runDir}/virtlockd-fence-sock`;
  }

  /** From now on there is a process that fences for whoever connects. */
  async startFencing(): Promise<void> {
    this.#fencing = startedForEach(this.place, this.fenceSocket, programCommand("internal-fence"));
    await until("the fencing's socket to be there", () => exists(this.fenceSocket));
  }

  /** Processes that fence just now. */
  get fencingPids(): readonly number[] {
    return this.#fencing === undefined ? [] : childrenOf(this.#fencing.pid);
  }

  /**
   * Writes the settings of the cluster into the configuration.
   *
   * @param space a lock directory in its place
   * @param besides more directories, by their names
   */
  configure(space: string = this.space, besides: Readonly<Record<string, string>> = {}): void {
    const named = Object.entries({ scsi: space, ...besides }).map(([name, path]) => `"${name}=${path}"`);
    this.place.writeConfig(this.#settings.replace(`"scsi=${this.space}"`, named.join(", ")));
  }

  /**
   * Starts the daemon below the stand-in for the service manager, which keeps its descriptors over a crash.
   *
   * @param entry main module that is run instead of the manager's own
   * @returns it; the place goes with it, so it has to be disposed of after everything else of the host
   */
  async startManaged(entry?: string): Promise<ServiceManager> {
    this.#ownsPlace = false;
    const manager = await ServiceManager.start({
      place: this.place,
      ...entry === undefined ? {} : { entry },
    });
    await this.#registerSpace(manager.socket);
    return manager;
  }

  async #registerSpace(socket: string): Promise<void> {
    await using libvirtd = await LockClient.connect(socket);
    await libvirtd.register(testOwner(1));
    await libvirtd.createLockspace(this.space);
  }

  /** Runs `virtlockd cluster ...` on this host, whether it has a daemon or not. */
  async command(...args: string[]) {
    return await Daemon.run({ args: ["cluster", ...args], place: this.place });
  }

  /** Kills every link with etcd that runs now; the daemon gets another one. */
  killLinks(): void {
    this.signalLinks("SIGKILL");
  }

  /** Sends a signal to every link with etcd that runs now. */
  signalLinks(signal: Deno.Signal): void {
    for (const pid of this.linkPids) {
      try {
        Deno.kill(pid, signal);
      } catch (error) {
        // It has ended meanwhile.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }

  /** Processes of the links with etcd that run now. */
  get linkPids(): readonly number[] {
    return childrenOf(this.#link.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    await this.#fencing?.kill();
    await this.#link.kill();
    if (this.#ownsPlace) this.place[Symbol.dispose]();
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A socket that starts a process for everybody who connects, as the service manager does. */
function startedForEach(
  place: Place,
  socket: string,
  command: readonly string[],
  launcher: readonly string[] = [],
): TestProcess {
  const forwarded = ["DENO_DIR", "HOME", "PATH", "NO_COLOR"].flatMap((name) => ["-E", name]);
  const activation = ["systemd-socket-activate", "--accept", "--inetd", ...forwarded, "-l", socket];
  return new TestProcess(
    [...launcher, ...place.command([...activation, ...command])],
    place.env,
    place.directory,
  );
}
