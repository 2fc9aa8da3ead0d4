import {
  ACQUIRE_AUTOCREATE,
  ACQUIRE_SHARED,
  encodeRegister,
  encodeResource,
  LockProcedure,
} from "../../src/wire/lock_protocol.ts";
import { testOwner } from "../support/lock_client.ts";
import type { Random } from "../support/random.ts";
import { RawClient } from "../support/raw_client.ts";

/** Owners' pids begin here: no process can have one (PID_MAX_LIMIT is 4194304). */
const FIRST_PID = 1_600_000_000;
const CLIENTS = 40;
const NAMES = 60;
const FLAGS = [ACQUIRE_AUTOCREATE, ACQUIRE_AUTOCREATE | ACQUIRE_SHARED];

/** A connected client with the locks that its owner has. */
interface Guest {
  readonly client: RawClient;
  readonly held: Set<string>;
}

/** Guests that come, take locks, give them back and go, all day long. A name is one guest's: every request must succeed. */
export class Churn {
  readonly #socket: string;
  readonly #lockspace: string;
  readonly #random: Random;
  readonly #guests = new Map<number, Guest>();
  #requests = 0;

  /** @param lockspace path of a lockspace that exists */
  constructor(socket: string, lockspace: string, random: Random) {
    this.#socket = socket;
    this.#lockspace = lockspace;
    this.#random = random;
  }

  /** Requests so far. */
  get requests(): number {
    return this.#requests;
  }

  /** Something happens to one guest. @throws Error when a request fails */
  step(): void {
    const number = this.#random.below(CLIENTS);
    const guest = this.#guests.get(number);
    if (guest === undefined) this.#arrive(number);
    else if (this.#random.once(15)) this.#leave(number, guest);
    else this.#use(number, guest);
  }

  /** All guests give everything back and go. */
  end(): void {
    for (const [number, guest] of [...this.#guests]) this.#leave(number, guest);
  }

  #arrive(number: number): void {
    const guest: Guest = { client: RawClient.connect(this.#socket), held: new Set() };
    this.#guests.set(number, guest);
    const owner = testOwner(FIRST_PID + number);
    this.#ask(guest, LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: 0 }));
  }

  #leave(number: number, guest: Guest): void {
    for (const name of guest.held) this.#resource(guest, LockProcedure.RELEASE_RESOURCE, name, 0);
    guest.client.close();
    this.#guests.delete(number);
  }

  #use(number: number, guest: Guest): void {
    const name = `guest-${number}-${this.#random.below(NAMES)}`;
    if (guest.held.has(name)) {
      this.#resource(guest, LockProcedure.RELEASE_RESOURCE, name, 0);
      guest.held.delete(name);
    } else {
      this.#resource(guest, LockProcedure.ACQUIRE_RESOURCE, name, this.#random.pick(FLAGS));
      guest.held.add(name);
    }
  }

  #resource(guest: Guest, procedure: number, name: string, flags: number): void {
    const args = { path: this.#lockspace, name, flags };
    this.#ask(guest, procedure, (writer) => encodeResource(writer, args));
  }

  #ask({ client }: Guest, procedure: number, encode: Parameters<RawClient["request"]>[1]): void {
    const refusal = client.request(procedure, encode, this.#requests & 0xffff);
    if (refusal !== undefined) throw new Error(`Procedure ${procedure} was refused: ${refusal.message}`);
    this.#requests++;
  }
}
