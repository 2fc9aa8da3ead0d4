import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { isPong } from "../support/keepalive_codec.ts";
import { decodeRpcFailure, ErrorCode, ErrorDomain } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { type Frame, FrameSplitter } from "../support/frame_splitter.ts";
import type { Owed } from "./shadow.ts";

type OwedReply = Extract<Owed, { kind: "reply" }>;

/** Holds what a daemon sends against what it owes: every request one reply, in order, of the right kind. */
export class Answers {
  readonly #splitter = new FrameSplitter();
  #replies: OwedReply[] = [];
  #at = 0;
  #pongs = 0;
  #succeeded = 0;

  /** Something more is due. */
  owe(owed: readonly Owed[]): void {
    for (const one of owed) {
      if (one.kind === "pong") this.#pongs++;
      else this.#replies.push(one);
    }
  }

  /** How many answers are due and have not come. */
  get due(): number {
    return this.#replies.length - this.#at + this.#pongs;
  }

  /** What is due, in words. */
  get text(): string {
    const replies = this.#replies.slice(this.#at).map(({ header }) => header);
    return `${this.#pongs} PONGs and ${replies.length} replies, the first to ${JSON.stringify(replies[0])}`;
  }

  /** Requests that succeeded. */
  get succeeded(): number {
    return this.#succeeded;
  }

  /** Takes received bytes. @throws Error when they are not what is due */
  receive(bytes: Uint8Array): void {
    for (const frame of this.#splitter.push(bytes)) this.#check(frame);
  }

  #check({ header, payload }: Frame): void {
    if (isPong(header)) {
      if (this.#pongs-- === 0) throw new Error("Received a PONG that nobody asked for");
      return;
    }
    const owed = this.#replies[this.#at++];
    const received = `received ${JSON.stringify(header)}`;
    if (owed === undefined) throw new Error(`Nothing is due, ${received}`);
    const { program, version, procedure, serial } = owed.header;
    const fits = header.program === program && header.version === version &&
      header.procedure === procedure && header.serial === serial && header.type === MessageType.REPLY;
    if (!fits) throw new Error(`Due is a reply to ${JSON.stringify(owed.header)}, ${received}`);
    if (this.#at > 4096) {
      this.#replies = this.#replies.slice(this.#at);
      this.#at = 0;
    }
    if (header.status === MessageStatus.OK) {
      if (owed.outcome !== "free") {
        throw new Error(`A request succeeded that had to fail: ${JSON.stringify(header)}`);
      }
      this.#succeeded++;
      return;
    }
    const reader = new XdrReader(payload);
    const { code, domain, message } = decodeRpcFailure(reader);
    if (reader.remaining > 0) {
      throw new Error(`An error with ${reader.remaining} bytes left over, ${received}`);
    }
    const refused = code === ErrorCode.RPC && domain === ErrorDomain.RPC;
    if (refused !== (owed.outcome === "refused") || message === "") {
      throw new Error(
        `Due is outcome '${owed.outcome}', received error ${code}/${domain} '${message}' in ${received}`,
      );
    }
  }
}
