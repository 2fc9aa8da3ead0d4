import { HeldInput } from "./held_input.ts";
import { MessageInput, type MessageUser } from "./message_input.ts";

/** Bytes that are held of a client that has to wait. */
const MOST_HELD = 1 << 18;

/**
 * What comes from a client, on its way to whoever takes the messages: what cannot be taken yet is held, and
 * pings that wait behind it are answered all the same.
 */
export class ClientInput {
  readonly #user: MessageUser;
  readonly #pong: () => void;
  readonly #input = new MessageInput();
  readonly #held = new HeldInput();
  #feeding = false;

  /** @param pong answers a ping */
  constructor(user: MessageUser, pong: () => void) {
    this.#user = user;
    this.#pong = pong;
  }

  /** Bytes of memory that what has come takes. */
  get kept(): number {
    return this.#input.kept + this.#held.length;
  }

  /** Whether anything is held that could not be taken yet. */
  get holding(): boolean {
    return this.#held.length > 0;
  }

  /** Whether more may be received. Behind half a message that waits nothing is: a ping could not be told. */
  get wanting(): boolean {
    return this.#held.length < MOST_HELD && (!this.holding || this.#input.betweenMessages);
  }

  /** Takes what was received; the bytes are copied if they are held. */
  receive(bytes: Uint8Array): void {
    if (this.holding) this.#held.add(bytes);
    else {
      const used = this.#feed(bytes);
      if (!this.#user.closed && used < bytes.length) this.#held.add(bytes.subarray(used));
    }
    this.#answerHeldPings();
  }

  /** Goes on with what is held. Harmless while something is being taken: that goes on by itself. */
  resume(): void {
    if (this.#feeding || !this.holding) return;
    const used = this.#feed(this.#held.bytes);
    if (!this.#user.closed) this.#held.consume(used);
  }

  #feed(bytes: Uint8Array): number {
    this.#feeding = true;
    try {
      return this.#input.feed(bytes, this.#user);
    } finally {
      this.#feeding = false;
    }
  }

  #answerHeldPings(): void {
    while (!this.#user.closed && this.#input.betweenMessages && this.#held.takePing()) this.#pong();
  }
}
