import { O_RDWR, SIGTERM, SOCK_STREAM } from "../../src/os/constants.ts";
import { MessageStatus } from "../../src/chassis/wire/frame.ts";
import { LockProcedure, type OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "./lock_codec.ts";
import { decodeRpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { Daemon } from "./daemon.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { testOwner } from "./lock_client.ts";
import { Puppet } from "./puppet.ts";
import { lockCall } from "./raw_client.ts";

/**
 * A guest's process: connected to the daemon, and registered as the owner itself. Disposing of it kills it.
 */
export class Holder implements AsyncDisposable {
  readonly owner: OwnerArgs;
  readonly #puppet: Puppet;
  readonly #fd: number;

  private constructor(puppet: Puppet, fd: number, pid: number) {
    this.#puppet = puppet;
    this.#fd = fd;
    this.owner = testOwner(pid);
  }

  /**
   * Starts one and registers it, by what it takes for its own pid.
   *
   * @param launcher command that runs it as its last arguments, e.g. in a pid namespace of its own
   */
  static async start(
    daemon: Pick<Daemon, "place" | "socket">,
    launcher: readonly string[] = [],
  ): Promise<Holder> {
    const puppet = Puppet.start(daemon.place, {}, launcher);
    try {
      const fd = await puppet.call("socket", SOCK_STREAM, false);
      await puppet.call("connect", fd, daemon.socket);
      const holder = new Holder(puppet, fd, await puppet.call("pid"));
      await holder.#request(
        LockProcedure.REGISTER,
        (writer) => encodeRegister(writer, { owner: holder.owner, flags: 0 }),
      );
      return holder;
    } catch (error) {
      await puppet[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#puppet.pid;
  }

  /** Whether it has not ended. */
  get running(): boolean {
    return this.#puppet.process.running;
  }

  /** The signal that ended it, null when it exited. Waits for its end. */
  async endedBy(): Promise<Deno.Signal | null> {
    return (await this.#puppet.process.wait()).signal;
  }

  /** ACQUIRE_RESOURCE over its own connection. @throws RpcFailure */
  async acquire(path: string, name: string, flags = 0): Promise<void> {
    await this.#request(
      LockProcedure.ACQUIRE_RESOURCE,
      (writer) => encodeResource(writer, { path, name, flags }),
    );
  }

  /** Has it open a file for writing, as a guest does with its disk. */
  async open(path: string): Promise<void> {
    await this.#puppet.call("open", path, O_RDWR, 0);
  }

  /** From now on SIGTERM does nothing to it. */
  async ignoreTermination(): Promise<void> {
    await this.#puppet.call("ignoreSignals", [SIGTERM]);
  }

  /** Has it start a child that inherits its connection and lives for a while. @returns the child's pid */
  async fork(): Promise<number> {
    // With its output open the test would wait for the child.
    const nothing = await this.#puppet.call("open", "/dev/null", O_RDWR, 0);
    return await this.#puppet.call("spawn", {
      path: "/bin/sleep",
      argv: ["sleep", "1000"],
      env: [],
      descriptors: [this.#fd, nothing, nothing],
      blockedSignals: [],
      newSession: true,
    });
  }

  /** Has it end its connection. The daemon may kill it at once, so nothing waits for that. */
  async disconnect(): Promise<void> {
    await this.#puppet.tell("close", this.#fd);
  }

  /** The same, and waits for it: while the daemon is held up. */
  async disconnected(): Promise<void> {
    await this.#puppet.call("close", this.#fd);
  }

  /** SIGKILL, as `kill -9` on a guest. */
  async kill(): Promise<void> {
    await this.#puppet.process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #request(procedure: number, encode: (writer: XdrWriter) => void): Promise<void> {
    await this.#puppet.call("send", this.#fd, lockCall(procedure, encode, 1));
    const splitter = new FrameSplitter();
    for (;;) {
      const received = await this.#puppet.ask("receive", this.#fd);
      if (typeof received !== "string") throw new Error(`Receive a reply: errno ${received}`);
      const [reply] = splitter.push(Uint8Array.fromBase64(received));
      if (reply === undefined) continue;
      if (reply.header.status === MessageStatus.OK) return;
      throw decodeRpcFailure(new XdrReader(reply.payload));
    }
  }
}
