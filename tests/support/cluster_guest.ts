import type { OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import type { ClusterHost } from "./cluster_host.ts";
import { LockClient } from "./lock_client.ts";
import { Puppet } from "./puppet.ts";

/** ACQUIRE_RESOURCE's flag for files that are made on demand. */
const AUTOCREATE = 2;

/** Where a guest is: a host, or one whose daemon runs below a stand-in for the service manager. */
export type GuestPlace = Pick<ClusterHost, "place" | "space"> & { readonly socket: string };

/** A domain's process on a host of a cluster, and libvirtd, which asks for its locks. */
export class ClusterGuest implements AsyncDisposable {
  readonly #host: GuestPlace;
  readonly #puppet: Puppet;
  readonly #domain: Pick<OwnerArgs, "uuid" | "name">;

  /** @param number of its domain: a guest that migrates has the same on both hosts */
  constructor(host: GuestPlace, number: number) {
    this.#host = host;
    this.#puppet = Puppet.start(host.place);
    const tail = String(number).padStart(12, "0");
    this.#domain = { uuid: `6ba7b810-9dad-41d1-80b4-${tail}`, name: `domain${number}` };
  }

  /** A host as a place for guests. */
  static at(host: ClusterHost): GuestPlace {
    return { place: host.place, space: host.space, socket: host.daemon.socket };
  }

  get owner(): OwnerArgs {
    return { ...this.#domain, id: 1, pid: this.#puppet.pid };
  }

  /** Starts or resumes it: asks for its disks in turn, over a connection of its own. @throws RpcFailure */
  async acquire(...disks: readonly string[]): Promise<void> {
    await using libvirtd = await LockClient.connect(this.#host.socket);
    await libvirtd.register(this.owner);
    for (const disk of disks) await libvirtd.acquire(this.#host.space, disk, AUTOCREATE);
  }

  /** Pauses it, or takes disks away. @throws RpcFailure */
  async release(...disks: readonly string[]): Promise<void> {
    await using libvirtd = await LockClient.connect(this.#host.socket);
    await libvirtd.register(this.owner);
    for (const disk of disks) await libvirtd.release(this.#host.space, disk);
  }

  /** Kills it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#puppet[Symbol.asyncDispose]();
  }
}
