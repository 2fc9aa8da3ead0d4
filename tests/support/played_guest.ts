import type { OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import { LockClient, testOwner } from "./lock_client.ts";
import { refusalOf } from "./lock_refusal.ts";
import type { PlayedHost } from "./played_host.ts";
import { TestProcess } from "./test_process.ts";
import { until } from "./until.ts";

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;

/**
 * A guest's process, which has no disk open, and the connection over which libvirtd asks for its locks. That
 * one is kept over the end of a daemon.
 */
export class PlayedGuest implements AsyncDisposable {
  readonly owner: OwnerArgs;
  readonly #space: string;
  readonly #process: TestProcess;
  readonly #libvirtd: LockClient;

  private constructor(space: string, process: TestProcess, libvirtd: LockClient, owner: OwnerArgs) {
    this.#space = space;
    this.#process = process;
    this.#libvirtd = libvirtd;
    this.owner = owner;
  }

  /**
   * Starts one.
   *
   * @param domain whose guest it is too, as that of a migration; undefined: of a domain of its own
   */
  static async start({ place, spaces, socket }: PlayedHost, domain?: OwnerArgs): Promise<PlayedGuest> {
    const process = new TestProcess(place.command(["/bin/sleep", "infinity"]), place.env, place.directory);
    const { pid } = process;
    // Before, its files cannot be looked at by the daemon.
    await until("the guest's process", () => Deno.readTextFileSync(`/proc/${pid}/comm`) === "sleep\n");
    const owner = {
      ...testOwner(pid),
      ...domain === undefined ? {} : { uuid: domain.uuid, name: domain.name },
    };
    const libvirtd = await LockClient.connect(socket);
    await libvirtd.register(owner);
    return new PlayedGuest(spaces.scsi, process, libvirtd, owner);
  }

  get pid(): number {
    return this.owner.pid;
  }

  /** Asks for a disk. @returns "granted", or the refusal */
  async acquire(disk: string, flags = 0): Promise<string> {
    return await refusalOf(this.#libvirtd.acquire(this.#space, disk, flags | AUTOCREATE)) ?? "granted";
  }

  /** Gives a disk back, as libvirtd does when a guest is paused. @returns "released", or the refusal */
  async release(disk: string): Promise<string> {
    return await refusalOf(this.#libvirtd.release(this.#space, disk)) ?? "released";
  }

  /** Changes nothing: it is over when the daemon has read whatever it was sent before. */
  async roundTrip(): Promise<void> {
    await this.#libvirtd.createLockspace(this.#space);
  }

  /** libvirtd is gone, and the guest's process is not. */
  async disconnect(): Promise<void> {
    await this.#libvirtd[Symbol.asyncDispose]();
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#libvirtd[Symbol.asyncDispose]();
  }
}
