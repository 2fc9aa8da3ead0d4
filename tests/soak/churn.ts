import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { testOwner } from "../support/lock_client.ts";
import type { Random } from "../support/random.ts";
import { RawClient } from "../support/raw_client.ts";

/** Owners' pids begin here: no process can have one (PID_MAX_LIMIT is 4194304). */
const FIRST_PID = 1_600_000_000;
const CLIENTS = 40;
const NAMES = 60;
const FLAGS = [ACQUIRE_AUTOCREATE, ACQUIRE_AUTOCREATE | ACQUIRE_SHARED];

/** The beginning of a message of 1 MiB, which never ends. */
const HALF = new Uint8Array(32 * 1024);
new DataView(HALF.buffer).setUint32(0, 1 << 20);
/** A length that no message has. */
const RUBBISH = new Uint8Array(64).fill(0xff);

/** A connected client with the locks that its owner has. */
interface Guest {
  readonly client: RawClient;
  readonly held: Set<string>;
}

/**
 * Guests that come, take locks, give them back and go, all day long; a name is one guest's, so every request
 * must succeed. Some of what they ask for they must not get, and now and then a stranger comes who does not
 * behave.
 */
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

  /** Something happens to one guest or stranger. @throws Error when a request has the wrong answer */
  step(): void {
    if (this.#random.once(40)) return this.#comeAndGo();
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
    const { RELEASE_RESOURCE, DELETE_RESOURCE } = LockProcedure;
    if (this.#random.once(20)) {
      // What is held cannot be deleted, and what is not held cannot be released.
      this.#refused(guest.client, guest.held.has(name) ? DELETE_RESOURCE : RELEASE_RESOURCE, name);
    } else if (guest.held.has(name)) {
      this.#resource(guest, LockProcedure.RELEASE_RESOURCE, name, 0);
      guest.held.delete(name);
    } else {
      this.#resource(guest, LockProcedure.ACQUIRE_RESOURCE, name, this.#random.pick(FLAGS));
      guest.held.add(name);
    }
  }

  /**
   * Somebody who is refused as not registered, leaves in the midst of a message, or says nothing that makes
   * sense.
   */
  #comeAndGo(): void {
    using client = RawClient.connect(this.#socket);
    const kind = this.#random.below(3);
    if (kind === 0) {
      this.#refused(client, LockProcedure.ACQUIRE_RESOURCE, "guest-0-0");
    } else if (kind === 1) {
      client.offer(HALF);
    } else {
      client.send(RUBBISH);
      client.untilClosed();
    }
  }

  #refused(client: RawClient, procedure: number, name: string): void {
    const args = { path: this.#lockspace, name, flags: 0 };
    const refusal = client.request(procedure, (writer) => encodeResource(writer, args));
    if (refusal === undefined) throw new Error(`Procedure ${procedure} on '${name}' was not refused`);
    this.#requests++;
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
