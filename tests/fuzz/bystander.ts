import { ACQUIRE_SHARED } from "../../src/lockd/wire/lock_protocol.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { testOwner } from "../support/lock_client.ts";
import { lockOn } from "../support/kernel.ts";
import { RawClient } from "../support/raw_client.ts";

/** An owner whose pid no process can have (PID_MAX_LIMIT is 4194304). */
const OWNER = testOwner(1_999_999_999);
const [KEPT, SHARED, MOVING] = ["kept", "shared", "moving"];

/** A client that behaves: whatever others do, its locks stay and its requests are answered. */
export class Bystander implements Disposable {
  readonly #client: RawClient;
  readonly #lockspace: string;

  /**
   * Connects and takes its locks.
   *
   * @param lockspace path of a lockspace for it alone, whose directory is there
   */
  constructor(socket: string, lockspace: string) {
    this.#client = RawClient.connect(socket);
    this.#lockspace = lockspace;
    this.#must(LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner: OWNER, flags: 0 }));
    this.#must(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(lockspace));
    for (const name of [KEPT, SHARED, MOVING]) this.#ask(LockProcedure.CREATE_RESOURCE, name as string);
    this.#ask(LockProcedure.ACQUIRE_RESOURCE, KEPT as string);
    this.#ask(LockProcedure.ACQUIRE_RESOURCE, SHARED as string, ACQUIRE_SHARED);
  }

  /**
   * Looks at its locks from outside the daemon, and takes and gives back another. @throws Error when
   * something is wrong
   */
  check(): void {
    this.#ask(LockProcedure.ACQUIRE_RESOURCE, MOVING as string);
    this.#expect([[KEPT, "exclusive"], [SHARED, "shared"], [MOVING, "exclusive"]]);
    this.#ask(LockProcedure.RELEASE_RESOURCE, MOVING as string);
    this.#expect([[KEPT, "exclusive"], [SHARED, "shared"], [MOVING, "none"]]);
    if (!this.#client.quiet) throw new Error("The bystander received something that it did not ask for");
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  #expect(modes: readonly (readonly [string | undefined, string])[]): void {
    for (const [name, wanted] of modes) {
      const { mode } = lockOn(`${this.#lockspace}/${name}`);
      if (mode !== wanted) throw new Error(`The bystander's lock '${name}' is ${mode}, wanted ${wanted}`);
    }
  }

  #ask(procedure: number, name: string, flags = 0): void {
    this.#must(procedure, (writer) => encodeResource(writer, { path: this.#lockspace, name, flags }));
  }

  #must(procedure: number, encode: Parameters<RawClient["request"]>[1]): void {
    const refusal = this.#client.request(procedure, encode);
    if (refusal !== undefined) {
      throw new Error(`The bystander was refused procedure ${procedure}: ${refusal.message}`);
    }
  }
}
