import { LOCK_PROGRAM, LockProcedure, type OwnerArgs } from "../../src/lockd/wire/lock_protocol.ts";
import {
  encodeCreateLockspace,
  encodeNew,
  encodeRegister,
  encodeResource,
  encodeRestrict,
} from "./lock_codec.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { RpcClient } from "./rpc_client.ts";
import { PATIENCE_MS } from "./until.ts";

/**
 * An owner for tests.
 *
 * @param pid its process. The daemon kills it when it is the one that is connected and the connection ends:
 *   never use the test's own pid, unless that is the test
 */
export function testOwner(pid: number, name = `guest-${pid}`): OwnerArgs {
  const tail = pid.toString(16).padStart(12, "0");
  return { uuid: `6ba7b810-9dad-41d1-80b4-${tail}`, name, id: pid, pid };
}

/** A client of the lock program. Its methods throw RpcFailure when the daemon refuses. */
export class LockClient extends RpcClient {
  /** Connects to the daemon's socket. Give it back with `await using` or close(). */
  static override async connect(path: string, timeout = PATIENCE_MS): Promise<LockClient> {
    return new LockClient(path, await RpcClient.open(path, timeout), timeout);
  }

  /** REGISTER. */
  register(owner: OwnerArgs, flags = 0): Promise<void> {
    return this.#ask(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags }));
  }

  /** RESTRICT. */
  restrict(flags = 0): Promise<void> {
    return this.#ask(LockProcedure.RESTRICT, (writer) => encodeRestrict(writer, { flags }));
  }

  /** NEW. */
  newLockspace(path: string, flags = 0): Promise<void> {
    return this.#ask(LockProcedure.NEW, (writer) => encodeNew(writer, { path, flags }));
  }

  /** CREATE_RESOURCE. */
  createResource(path: string, name: string, flags = 0): Promise<void> {
    return this.#resource(LockProcedure.CREATE_RESOURCE, path, name, flags);
  }

  /** DELETE_RESOURCE. */
  deleteResource(path: string, name: string, flags = 0): Promise<void> {
    return this.#resource(LockProcedure.DELETE_RESOURCE, path, name, flags);
  }

  /** ACQUIRE_RESOURCE. */
  acquire(path: string, name: string, flags = 0): Promise<void> {
    return this.#resource(LockProcedure.ACQUIRE_RESOURCE, path, name, flags);
  }

  /** RELEASE_RESOURCE. */
  release(path: string, name: string, flags = 0): Promise<void> {
    return this.#resource(LockProcedure.RELEASE_RESOURCE, path, name, flags);
  }

  /** CREATE_LOCKSPACE. */
  createLockspace(path: string): Promise<void> {
    return this.#ask(LockProcedure.CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path }));
  }

  #resource(procedure: number, path: string, name: string, flags: number): Promise<void> {
    return this.#ask(procedure, (writer) => encodeResource(writer, { path, name, flags }));
  }

  #ask(procedure: number, encode: (writer: XdrWriter) => void): Promise<void> {
    return this.request(LOCK_PROGRAM, procedure, encode, () => undefined);
  }
}
