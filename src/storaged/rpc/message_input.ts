import {
  emptyHeader,
  FRAME_MIN,
  frameLength,
  type Header,
  MessageType,
  readHeader,
} from "../../chassis/wire/frame.ts";
import { frameTotal } from "../../chassis/wire/frame_total.ts";

/** What is to be done with the payload of a message whose header has come. */
export type Disposal =
  /** Kept, up to so many bytes, until the message is whole. */
  | { readonly kind: "keep"; readonly limit: number }
  /** Passed on as it comes. */
  | { readonly kind: "stream" }
  /** Passed over. */
  | { readonly kind: "drop" }
  /** Not now: the message is to be given again. */
  | { readonly kind: "wait" };

export const WAIT: Disposal = { kind: "wait" };
export const DROP: Disposal = { kind: "drop" };

/** Who takes messages. */
export interface MessageUser {
  /** Whether it has ended: nothing more is given to it. */
  readonly closed: boolean;
  /** @param header valid until the message has ended */
  begin(header: Readonly<Header>): Disposal;
  /** A message that was kept is whole. `bytes[start, end)` is what was kept of its payload. */
  message(header: Readonly<Header>, bytes: Uint8Array, start: number, end: number): void;
  /** Bytes of a streamed payload. @returns how many were taken; fewer: the rest is to be given again */
  data(header: Readonly<Header>, bytes: Uint8Array): number;
  /** A streamed payload is whole. */
  dataEnd(header: Readonly<Header>): void;
  /** What came cannot be a message: nothing that follows can be made sense of. */
  malformed(): void;
}

/** Length of the header, and the word behind it that counts descriptors. */
const HEAD_SIZE = FRAME_MIN + 4;
const FIRST_CAPACITY = 1024;

/**
 * Takes a client's bytes apart into messages, however they are cut. Only what has come of a message takes
 * memory, and no more of it than its user wants to keep.
 */
export class MessageInput {
  readonly #head = new Uint8Array(HEAD_SIZE);
  #headLength = 0;
  readonly #header = emptyHeader();
  /** What is done with the message under way; undefined between messages. */
  #disposal: Exclude<Disposal, { kind: "wait" }> | undefined;
  /** Payload bytes of the message under way that are still to come, descriptor bytes included. */
  #left = 0;
  #kept = new Uint8Array(0);
  #keptLength = 0;

  /** Whether the last byte was the last one of a message. */
  get betweenMessages(): boolean {
    return this.#disposal === undefined && this.#headLength === 0;
  }

  /** Bytes of memory that the message under way takes. */
  get kept(): number {
    return this.#kept.length;
  }

  /**
   * Takes bytes, in the order of the stream.
   *
   * @returns how many were used up; fewer than given when the user has to wait, or has closed
   */
  feed(bytes: Uint8Array, user: MessageUser): number {
    let at = 0;
    while (at < bytes.length && !user.closed) {
      const used = this.#disposal === undefined
        ? this.#begin(bytes, at, user)
        : this.#payload(bytes, at, user);
      if (used < 0) return at;
      at += used;
    }
    return at;
  }

  /** The header, from the bytes as they are or put together. @returns bytes used, -1 to wait */
  #begin(bytes: Uint8Array, at: number, user: MessageUser): number {
    const used = Math.min(this.#missing(), bytes.length - at);
    this.#head.set(bytes.subarray(at, at + used), this.#headLength);
    this.#headLength += used;
    const total = frameTotal(this.#head, 0, this.#headLength);
    if (total < 0) {
      user.malformed();
      return used;
    }
    if (this.#missing() > 0) return used;
    readHeader(this.#head, 0, this.#header);
    const disposal = user.begin(this.#header);
    if (disposal.kind === "wait") {
      this.#headLength -= used;
      return -1;
    }
    this.#headLength = 0;
    this.#disposal = disposal;
    this.#left = total - FRAME_MIN;
    // The word that counts descriptors belongs to neither the header nor the arguments.
    if (this.#header.type === MessageType.CALL_WITH_FDS) this.#left -= 4;
    this.#keptLength = 0;
    if (this.#left === 0) this.#whole(bytes, at + used, at + used, user);
    return used;
  }

  /** Bytes of the head that have not come. */
  #missing(): number {
    if (this.#headLength < FRAME_MIN) return FRAME_MIN - this.#headLength;
    readHeader(this.#head, 0, this.#header);
    const long = this.#header.type === MessageType.CALL_WITH_FDS &&
      frameLength(this.#head, 0, FRAME_MIN) >= HEAD_SIZE;
    return long ? HEAD_SIZE - this.#headLength : 0;
  }

  /** @returns bytes used, -1 to wait */
  #payload(bytes: Uint8Array, at: number, user: MessageUser): number {
    const length = Math.min(this.#left, bytes.length - at);
    const disposal = this.#disposal;
    switch (disposal?.kind) {
      case "stream": {
        const taken = user.data(this.#header, bytes.subarray(at, at + length));
        if (taken === 0) return -1;
        this.#left -= taken;
        if (this.#left === 0) this.#whole(bytes, at, at, user);
        return taken;
      }
      case "keep":
        this.#left -= length;
        if (this.#left === 0 && this.#keptLength === 0) {
          this.#whole(bytes, at, at + Math.min(length, disposal.limit), user);
          return length;
        }
        this.#keep(bytes.subarray(at, at + length), disposal.limit);
        if (this.#left === 0) this.#whole(this.#kept, 0, this.#keptLength, user);
        return length;
      default:
        this.#left -= length;
        if (this.#left === 0) this.#whole(bytes, at, at, user);
        return length;
    }
  }

  #keep(bytes: Uint8Array, limit: number): void {
    const part = bytes.subarray(0, Math.max(0, limit - this.#keptLength));
    const needed = this.#keptLength + part.length;
    if (needed > this.#kept.length) {
      const grown = new Uint8Array(Math.max(needed, Math.min(limit, this.#kept.length * 2), FIRST_CAPACITY));
      grown.set(this.#kept.subarray(0, this.#keptLength));
      this.#kept = grown;
    }
    this.#kept.set(part, this.#keptLength);
    this.#keptLength = needed;
  }

  #whole(bytes: Uint8Array, start: number, end: number, user: MessageUser): void {
    const disposal = this.#disposal;
    this.#disposal = undefined;
    // A long message is rare; its memory is not kept for the next one.
    if (this.#kept.length > 16 * FIRST_CAPACITY) this.#kept = new Uint8Array(0);
    if (disposal?.kind === "keep") user.message(this.#header, bytes, start, end);
    else if (disposal?.kind === "stream") user.dataEnd(this.#header);
  }
}
