import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { PATIENT } from "./cluster_host.ts";
import { Daemon } from "./daemon.ts";
import { LockClient, testOwner } from "./lock_client.ts";
import { Place } from "./place.ts";
import { PlayedLinks } from "./played_link.ts";
import { ServiceManager } from "./service_manager.ts";
import { until } from "./until.ts";

const KEYS = new ClusterKeys("test");
const PREFIX = "/virtlockd/test/";
const MEMBER = /This host is a member of its cluster/;

/** Lock directories by their names in the cluster. */
type Spaces = Readonly<Record<string, string>>;

/** An etcd with a cluster that is open. */
export function openedCluster(...spaces: readonly string[]): PlayedEtcd {
  const etcd = new PlayedEtcd("none");
  etcd.put(
    KEYS.meta,
    encodeMeta({ spaces, phase: "open", round: "first", expect: [], without: [], why: "" }),
  );
  return etcd;
}

/** Names of the locks that etcd has. */
export function locksOf(etcd: PlayedEtcd): string {
  return etcd.keys(KEYS.exclusives).filter((key) => key.startsWith(KEYS.exclusives))
    .map((key) => key.slice(KEYS.exclusives.length)).join();
}

/** Keys of locks, of the lists of who has them and of paused guests, below the cluster's prefix. */
export function keysOf(etcd: PlayedEtcd): string[] {
  return etcd.keys("").map((key) => key.slice(PREFIX.length)).filter((key) =>
    /^(lock|share|own|paused)\//.test(key)
  );
}

/** Process of the guest that has a lock of directory `scsi` in etcd alone; undefined: nobody has it. */
export function holderOf(etcd: PlayedEtcd, disk: string): number | undefined {
  const value = etcd.get(KEYS.exclusive({ space: "scsi", name: disk }));
  if (value === undefined) return undefined;
  const { pid }: { pid: number } = JSON.parse(value);
  return pid;
}

/** A host of the cluster whose etcd is played: daemon, links and lock directories. */
export class PlayedHost implements AsyncDisposable {
  readonly #name: string;
  readonly #stack = new AsyncDisposableStack();
  readonly place: Place;
  readonly links: PlayedLinks;
  readonly spaces: { readonly scsi: string; readonly leases: string };
  #daemon: Daemon | undefined;
  #manager: ServiceManager | undefined;

  private constructor(etcd: PlayedEtcd, name: string, place: Place) {
    this.#name = name;
    this.place = place;
    const { runDir } = this.place.paths;
    Deno.mkdirSync(runDir, { recursive: true, mode: 0o700 });
    this.links = this.#stack.use(new PlayedLinks(etcd, `${runDir}/virtlockd-cluster-sock`));
    this.spaces = { scsi: place.makeDirectory("scsi"), leases: place.makeDirectory("leases") };
  }

  /** Starts one, and waits until it is a member. */
  static async start(
    etcd: PlayedEtcd,
    name: string,
    chosen: (spaces: PlayedHost["spaces"]) => Spaces = ({ scsi }) => ({ scsi }),
    settings?: string,
  ): Promise<PlayedHost> {
    const place = Place.createShared();
    const host = new PlayedHost(etcd, name, place);
    host.#stack.use(place);
    host.configure(chosen(host.spaces), settings);
    const daemon = host.#stack.use(await Daemon.start({ place }));
    host.#daemon = daemon;
    await daemon.log.match(MEMBER);
    await host.#createLockspaces(daemon.socket);
    return host;
  }

  /** Starts one that is in no cluster until it {@link join}s. */
  static async startAlone(etcd: PlayedEtcd, name: string): Promise<PlayedHost> {
    const place = Place.createShared();
    const host = new PlayedHost(etcd, name, place);
    host.#stack.use(place);
    const daemon = host.#stack.use(await Daemon.start({ place }));
    host.#daemon = daemon;
    await host.#createLockspaces(daemon.socket);
    return host;
  }

  /** Has one that was started alone join the cluster. */
  async join(): Promise<void> {
    this.configure({ scsi: this.spaces.scsi });
    const { code, stderr } = await this.command("join", "--wait", "300");
    assert.equal(code, 0, stderr);
  }

  /**
   * Starts one whose daemon is below the stand-in for the service manager, and can be killed at any of its
   * system calls.
   *
   * @param settings as in {@link configure}
   */
  static async startManaged(etcd: PlayedEtcd, name: string, settings?: string): Promise<PlayedHost> {
    const host = new PlayedHost(etcd, name, Place.createShared());
    host.configure({ scsi: host.spaces.scsi }, settings);
    const manager = host.#stack.use(await ServiceManager.start({ place: host.place }));
    host.#manager = manager;
    await until("the host to be a member", () => MEMBER.test(manager.log));
    await host.#createLockspaces(manager.socket);
    return host;
  }

  async #createLockspaces(socket: string): Promise<void> {
    await using libvirtd = await LockClient.connect(socket);
    await libvirtd.register(testOwner(1));
    for (const space of Object.values(this.spaces)) await libvirtd.createLockspace(space);
  }

  /** The service manager of one that is {@link startManaged}. */
  get manager(): ServiceManager {
    assert.ok(this.#manager !== undefined);
    return this.#manager;
  }

  /** Path of the socket for libvirt. */
  get socket(): string {
    return this.place.paths.socket;
  }

  get daemon(): Daemon {
    assert.ok(this.#daemon !== undefined);
    return this.#daemon;
  }

  /** @param settings more lines of its configuration */
  configure(spaces: Spaces, settings = PATIENT): void {
    const named = Object.entries(spaces).map(([name, path]) => `"${name}=${path}"`).join(", ");
    this.place.writeConfig(
      `cluster_endpoints = ["http://played:2379"]\ncluster_name = "test"\n` +
        `cluster_host_id = "${this.#name}"\ncluster_lockspaces = [${named}]\n${settings}\n`,
    );
  }

  /** Runs `virtlockd cluster ...`. */
  async command(...args: string[]) {
    return await Daemon.run({ args: ["cluster", ...args], place: this.place });
  }

  /** What it says of its membership, and of each of its locks. */
  shown(): Promise<Shown> {
    return shownBy(this.daemon);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** What a daemon of a cluster says of its membership, and of each of its locks. */
export interface Shown {
  readonly state: string;
  readonly reason: string;
  readonly locks: string;
}

/** Asks a daemon for that. */
export async function shownBy(
  daemon: { command(...args: string[]): Promise<{ readonly stdout: string }> },
): Promise<Shown> {
  const status: { sections: { cluster: { state: string; reason?: string } } } = JSON.parse(
    (await daemon.command("status", "--json")).stdout,
  );
  const locks: { resource: string; state: string }[] = JSON.parse(
    (await daemon.command("locks", "--json")).stdout,
  );
  const { state, reason = "" } = status.sections.cluster;
  return { state, reason, locks: locks.map(({ resource, state }) => `${resource} ${state}`).sort().join() };
}
