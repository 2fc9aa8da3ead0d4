import { type Output, runOk, type RunOptions, type Site } from "./command.ts";
import { installMissing } from "./debian_packages.ts";
import { PrivateHost } from "./private_host.ts";
import { until } from "../../support/until.ts";

/** The storage daemon as `deno task build` leaves it. */
export const OUR_STORAGE_DAEMON: string = new URL("../../../virtstoraged", import.meta.url).pathname;

const DRIVERS = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver";
/** What clients and backends need. */
const PACKAGES = [
  "libvirt-daemon",
  "libvirt-clients",
  "qemu-utils",
  "libxml2-utils",
  "scrub",
  "e2fsprogs",
  "python3-minimal",
];

/** Who serves `storage:///system`. */
export type StorageServer = "libvirt" | "ours";

/** A private host with a daemon that serves its storage pools. Root only. */
export class StoragePeer implements Site, AsyncDisposable {
  readonly server: StorageServer;
  readonly #host: PrivateHost;

  private constructor(server: StorageServer, host: PrivateHost) {
    this.server = server;
    this.#host = host;
  }

  /** A directory for pools, on a real file system. */
  get directory(): string {
    return this.#host.directory;
  }

  /**
   * A host on which nobody serves yet.
   *
   * @param storage mount point of a FUSE file system of the test's, which the host has too
   */
  static async create(server: StorageServer, storage?: string): Promise<StoragePeer> {
    await installMissing(PACKAGES);
    const peer = new StoragePeer(server, await PrivateHost.create(storage));
    try {
      await runOk(peer, ["mkdir", "-p", "/run/libvirt"]);
      return peer;
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A host on which the daemon serves. */
  static async start(server: StorageServer): Promise<StoragePeer> {
    const peer = await StoragePeer.create(server);
    try {
      await peer.serve(server);
      return peer;
    } catch (error) {
      await peer[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts a daemon and waits until it serves. */
  async serve(server: StorageServer, args: readonly string[] = []): Promise<void> {
    if (server === "libvirt") await runOk(this, ["sh", "-c", START_LIBVIRTD, "sh", DRIVERS, this.directory]);
    else await runOk(this, [OUR_STORAGE_DAEMON, "-d", ...args]);
    const uri = ["virsh", "-q", "-c", "storage:///system", "uri"];
    await until(`${server} to serve`, async () => (await this.run(uri)).code === 0);
  }

  /** Ends the daemon and waits for its end. */
  async stop(server: StorageServer): Promise<void> {
    const path = server === "libvirt" ? "/run/libvirtd.pid" : "/run/virtstoraged.pid";
    const pid = Number(await Deno.readTextFile(this.outside(path)));
    Deno.kill(pid, "SIGTERM");
    await until(`the end of ${server}`, async () => (await this.run(["kill", "-0", String(pid)])).code !== 0);
  }

  run(argv: readonly string[], options?: RunOptions): Promise<Output> {
    return this.#host.run(argv, options);
  }

  outside(path: string): string {
    return this.#host.outside(path);
  }

  /** Runs virsh. @returns its standard output @throws CommandError with what it said */
  virsh(...args: string[]): Promise<string> {
    return runOk(this, ["virsh", "-q", "-c", "storage:///system", ...args]);
  }

  /** Runs virsh, which has to fail. @returns what it said */
  async virshError(...args: string[]): Promise<string> {
    const { code, stderr, stdout } = await this.run(["virsh", "-q", "-c", "storage:///system", ...args]);
    if (code === 0) throw new Error(`virsh ${args.join(" ")} did not fail: ${stdout}`);
    return stderr.trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
  }
}

/** libvirt's daemon with its storage driver alone: the others would look at the real host. */
const START_LIBVIRTD = `
set -e
if ! mountpoint -q "$1"; then
  mkdir -p "$2/drivers"
  cp "$1/libvirt_driver_storage.so" "$1/libvirt_driver_secret.so" "$2/drivers"
  mount --bind "$2/drivers" "$1"
fi
exec libvirtd -d
`;
