import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { Daemon } from "./daemon.ts";
import { LockClient, testOwner } from "./lock_client.ts";
import { Place } from "./place.ts";
import { PlayedLinks } from "./played_link.ts";

const KEYS = new ClusterKeys("test");

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

/** A host of the cluster whose etcd is played: daemon, links and lock directories. */
export class PlayedHost implements AsyncDisposable {
  readonly #name: string;
  readonly #stack = new AsyncDisposableStack();
  readonly place: Place;
  readonly links: PlayedLinks;
  readonly spaces: { readonly scsi: string; readonly leases: string };
  #daemon: Daemon | undefined;

  private constructor(etcd: PlayedEtcd, name: string) {
    this.#name = name;
    this.place = this.#stack.use(Place.createShared());
    const { runDir } = this.place.paths;
    Deno.mkdirSync(runDir, { recursive: true, mode: 0o700 });
    this.links = this.#stack.use(new PlayedLinks(etcd, `${runDir}/virtlockd-cluster-sock`));
    const { place } = this;
    this.spaces = { scsi: place.makeDirectory("scsi"), leases: place.makeDirectory("leases") };
  }

  /** Starts one, and waits until it is a member. */
  static async start(
    etcd: PlayedEtcd,
    name: string,
    chosen: (spaces: PlayedHost["spaces"]) => Spaces = ({ scsi }) => ({ scsi }),
    settings?: string,
  ): Promise<PlayedHost> {
    const host = new PlayedHost(etcd, name);
    host.configure(chosen(host.spaces), settings);
    const daemon = host.#stack.use(await Daemon.start({ place: host.place }));
    host.#daemon = daemon;
    await daemon.log.match(/This host is a member of its cluster/);
    await using libvirtd = await LockClient.connect(daemon.socket);
    await libvirtd.register(testOwner(1));
    for (const space of Object.values(host.spaces)) await libvirtd.createLockspace(space);
    return host;
  }

  get daemon(): Daemon {
    assert.ok(this.#daemon !== undefined);
    return this.#daemon;
  }

  /** @param settings more lines of its configuration */
  configure(spaces: Spaces, settings = "storage_timeout = 3\n"): void {
    const named = Object.entries(spaces).map(([name, path]) => `"${name}=${path}"`).join(", ");
    this.place.writeConfig(
      `cluster_endpoints = ["http://played:2379"]\ncluster_name = "test"\n` +
        `cluster_host_id = "${this.#name}"\ncluster_lockspaces = [${named}]\n${settings}`,
    );
  }

  /** Runs `virtlockd cluster ...`. */
  async command(...args: string[]) {
    return await Daemon.run({ args: ["cluster", ...args], place: this.place });
  }

  /** What it says of its membership, and of each of its locks. */
  async shown(): Promise<{ state: string; reason: string; locks: string }> {
    const status: { sections: { cluster: { state: string; reason?: string } } } = JSON.parse(
      (await this.daemon.command("status", "--json")).stdout,
    );
    const locks: { resource: string; state: string }[] = JSON.parse(
      (await this.daemon.command("locks", "--json")).stdout,
    );
    const { state, reason = "" } = status.sections.cluster;
    return { state, reason, locks: locks.map(({ resource, state }) => `${resource} ${state}`).sort().join() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
