import { MessageStatus } from "../../src/chassis/wire/frame.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { LockProcedure, type OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeRestrict } from "../support/lock_codec.ts";
import { LockClient } from "../support/lock_client.ts";
import { lockCall } from "../support/raw_client.ts";
import { LineProcess } from "./line_process.ts";
import type { NemesisHost } from "./nemesis_host.ts";

const ACQUIRE_FLAGS = { alone: 2, shared: 3 } as const;
/** libvirt waits for ever; a daemon that is stopped for a while is waited for here. */
const PATIENCE_MS = 60_000;
/** Where the status is in a reply: behind the length and five numbers. */
const STATUS_AT = 24;

/** What a guest is. */
export interface GuestPlan {
  /** Unique in the run: the witness knows it by that. */
  readonly number: number;
  /** Of the domain, which may have had other guests before. */
  readonly domain: number;
  readonly disks: readonly number[];
  readonly mode: "alone" | "shared";
  readonly writes: "uring" | "plain";
  readonly slow: boolean;
}

/** What came of asking for a lock. */
export type Acquired =
  | { readonly kind: "granted" }
  | { readonly kind: "refused"; readonly text: string }
  /** The daemon did not answer: libvirt takes that for a refusal. */
  | { readonly kind: "lost"; readonly text: string };

/**
 * A guest: a process that writes (programs/writer.c), and libvirt, which asks for its locks and gives them
 * back. Disposing of it kills it.
 */
export class Guest implements AsyncDisposable {
  readonly name: string;
  readonly plan: GuestPlan;
  readonly owner: OwnerArgs;
  readonly host: NemesisHost;
  readonly #process: LineProcess;

  private constructor(host: NemesisHost, plan: GuestPlan, process: LineProcess) {
    this.host = host;
    this.#process = process;
    this.plan = plan;
    this.name = `guest ${plan.number} on ${host.name}`;
    const tail = plan.domain.toString(16).padStart(12, "0");
    this.owner = {
      uuid: `6ba7b810-9dad-41d1-80b4-${tail}`,
      name: `domain-${plan.domain}`,
      id: plan.number,
      pid: process.pid,
    };
  }

  /** Starts its process, which opens its disks and registers with the daemon, as libvirt has QEMU do it. */
  static async start(host: NemesisHost, plan: GuestPlan): Promise<Guest> {
    const { disks } = host;
    const { place } = host.cluster;
    const process = new LineProcess(place.command([disks.writer, plan.writes]), place.env);
    const guest = new Guest(host, plan, process);
    try {
      await process.ask(`connect ${host.socket}`);
      const { owner } = guest;
      await guest.#call(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 }));
      await guest.#call(LockProcedure.RESTRICT, (writer) => encodeRestrict(writer, { flags: 0 }));
      for (const disk of plan.disks) await process.ask(`open ${disks.device(host.number, disk)}`);
      if (plan.slow) await disks.slowDown(process.pid);
      return guest;
    } catch (error) {
      await guest.kill();
      throw error;
    }
  }

  /** Whether its process has not ended. */
  get running(): boolean {
    return this.#process.running;
  }

  /** Settled when it has ended: with what it has said. */
  get ended(): Promise<string> {
    return this.#process.ended;
  }

  /** Asks for a disk's lock, as libvirt does for it. */
  async acquire(disk: number): Promise<Acquired> {
    try {
      await this.#asLibvirt((client) =>
        client.acquire(this.host.cluster.space, lockName(disk), ACQUIRE_FLAGS[this.plan.mode])
      );
      return { kind: "granted" };
    } catch (error) {
      return ofError(error);
    }
  }

  /** Gives a disk's lock back, as libvirt does when it pauses the guest. @returns what the daemon said */
  async release(disk: number): Promise<Acquired> {
    try {
      await this.#asLibvirt((client) => client.release(this.host.cluster.space, lockName(disk)));
      return { kind: "granted" };
    } catch (error) {
      return ofError(error);
    }
  }

  /** From now on it writes. @param number the witness knows the writer by it; that of the guest as a rule */
  async write(number = this.plan.number): Promise<void> {
    await this.#process.ask(`write ${number}`);
  }

  /** It does not write any more, and its writes have landed. */
  async stop(): Promise<void> {
    await this.#process.ask("stop");
  }

  /** `kill -9`; waits for the end of the process. Its last writes may be under way then. */
  async kill(): Promise<void> {
    await this.#process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #asLibvirt(task: (client: LockClient) => Promise<void>): Promise<void> {
    const client = await LockClient.connect(this.host.socket, PATIENCE_MS);
    try {
      await client.register(this.owner);
      await task(client);
    } finally {
      client.close();
    }
  }

  async #call(procedure: number, encode: (writer: XdrWriter) => void): Promise<void> {
    const answer = await this.#process.ask(`call ${lockCall(procedure, encode, 1).toHex()}`);
    const bytes = Uint8Array.fromHex(answer.slice("reply ".length));
    const status = new DataView(bytes.buffer).getUint32(STATUS_AT);
    if (status !== MessageStatus.OK) throw new Error(`Procedure ${procedure}: status ${status}`);
  }
}

/** The name of a disk's lock, the same on all hosts. */
export function lockName(disk: number): string {
  return `disk${disk}`;
}

function ofError(error: unknown): Acquired {
  if (error instanceof RpcFailure) return { kind: "refused", text: error.message };
  if (error instanceof Error) return { kind: "lost", text: error.message };
  throw error;
}
