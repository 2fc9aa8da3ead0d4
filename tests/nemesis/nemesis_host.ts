import type { ClusterStatus } from "../../src/lockd/cluster/cluster_status.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import type { Etcd } from "../support/etcd.ts";
import { Place } from "../support/place.ts";
import { testProgram } from "../support/programs.ts";
import type { ServiceManager } from "../support/service_manager.ts";
import { type HeldUp, readHeldUp, writeHeldUp } from "./held_up.ts";
import type { SharedDisks } from "./shared_disks.ts";

/** A main module below entries/. */
function entryProgram(name: string): string {
  return testProgram(new URL(`./entries/${name}`, import.meta.url));
}

/** Where a host is and what it runs. */
export interface NemesisHostParts {
  readonly etcd: Etcd;
  readonly disks: SharedDisks;
  readonly number: number;
  /** Command that runs the link in the host's network. */
  readonly launcher: readonly string[];
  /** File below entries/, of the daemon's program. */
  readonly entry: string;
}

/** A host of a run: a daemon below a stand-in for the service manager, and links in a network of its own. */
export class NemesisHost implements AsyncDisposable {
  readonly number: number;
  readonly name: string;
  readonly cluster: ClusterHost;
  readonly manager: ServiceManager;
  readonly disks: SharedDisks;

  private constructor(
    { number, disks }: NemesisHostParts,
    name: string,
    cluster: ClusterHost,
    manager: ServiceManager,
  ) {
    this.number = number;
    this.disks = disks;
    this.name = name;
    this.cluster = cluster;
    this.manager = manager;
  }

  static async start(parts: NemesisHostParts): Promise<NemesisHost> {
    const { etcd, number, launcher, entry } = parts;
    const name = `host${number}`;
    const cluster = await ClusterHost.create(etcd, name, {
      settings: "storage_timeout = 3",
      launcher,
      place: Place.createForRoot(),
      link: entryProgram("link.ts"),
    });
    try {
      const manager = await cluster.startManaged(entryProgram(entry));
      return new NemesisHost(parts, name, cluster, manager);
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Path of the daemon's socket for libvirt. */
  get socket(): string {
    return this.manager.socket;
  }

  /** The next change of this kind is held up on its way to etcd, or its answer on the way back. */
  holdUp(heldUp: HeldUp): void {
    writeHeldUp(this.cluster.place.directory, heldUp);
  }

  /** Whether a change is to be held up that was not asked for yet. */
  get holdsUp(): boolean {
    return readHeldUp(this.cluster.place.directory) !== undefined;
  }

  /** What the daemon says of itself in the cluster; undefined when it does not answer. */
  async status(): Promise<ClusterStatus | undefined> {
    const said = await this.command("status", "--json");
    if (said.code !== 0) return undefined;
    const { sections: { cluster } }: { sections: { cluster: ClusterStatus } } = JSON.parse(said.stdout);
    return cluster;
  }

  /** Runs a command of the program; one that does not end in time, as on a busy machine, has failed. */
  async command(
    ...args: string[]
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
    try {
      return await this.manager.command(...args);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return { code: -1, stdout: "", stderr: error.message };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]();
    await this.manager[Symbol.asyncDispose]();
  }
}
