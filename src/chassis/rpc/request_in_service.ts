import { invariant } from "../../base/invariant.ts";
import { strerror } from "../../os/errno.ts";
import { NOT_NOW } from "../../os/not_now.ts";
import { type Header, MessageStatus, MessageType } from "../wire/frame.ts";
import { writePong } from "../wire/keepalive.ts";
import type { ConnectionParts } from "./connection_parts.ts";
import { unexpected } from "./dispatch.ts";
import type { DurableClient } from "./durability.ts";
import { OUTSIDE_TURN, type ReplyBytes } from "./exchange.ts";
import { type Answer, type Answerable, PendingReply } from "./pending_reply.ts";
import type { Peer, Program } from "./program.ts";
import { replyBytes, sendReply } from "./reply_writer.ts";

const NOTHING = new Uint8Array(0);

/** A request between dispatch and the last byte of its reply. */
type Service =
  | { kind: "idle" }
  /**
   * Running. `frame` is kept once the procedure has returned without a reply, so that a restart can serve it
   * again.
   */
  | { kind: "running"; reply: PendingReply; frame: Uint8Array | undefined }
  /** Answered, but what it did is not durable yet. */
  | { kind: "settling"; bytes: Uint8Array; close: boolean; frame: Uint8Array | undefined }
  /** Answered; the client does not read. */
  | { kind: "writing"; rest: Uint8Array; close: boolean };

/** Whose request is served. */
export interface ServedClient extends DurableClient {
  /** Its socket. */
  readonly fd: number;
  readonly peer: Peer;
  /** Ends its connection at once. */
  end(reason: string): void;
  /** A request was settled in another turn than its own: it is time for what waits behind it. */
  proceed(): void;
  /** Waits for the events that are wanted by now. */
  update(): void;
}

/** What a client's connection may use of what all of a server share. */
export type ServiceParts = Pick<
  ConnectionParts,
  "exchange" | "durability" | "copies" | "observer" | "clock" | "crashed"
>;

/**
 * The request of a client that is in service, one at a time, and its reply: answered, made durable, and sent
 * as fast as the client reads.
 */
export class RequestInService implements Answerable {
  readonly #parts: ServiceParts;
  readonly #client: ServedClient;
  #service: Service = { kind: "idle" };
  /** Kept bytes of the request that was dispatched last. */
  #length = 0;
  /** Where it ended, in bytes from the start of its turn's source. */
  #end = 0;

  constructor(parts: ServiceParts, client: ServedClient) {
    this.#parts = parts;
    this.#client = client;
  }

  /** Whether a request is in service or its reply not wholly sent. */
  get busy(): boolean {
    return this.#service.kind !== "idle";
  }

  /** Whether a request is being worked on: it has not been answered, or what it did is not durable. */
  get running(): boolean {
    return this.#service.kind === "running" || this.#service.kind === "settling";
  }

  /** Whether the client does not read its reply. */
  get writing(): boolean {
    return this.#service.kind === "writing";
  }

  /** The request that is not answered, if it was kept. */
  get unserved(): Uint8Array | undefined {
    return this.#service.kind === "running" ? this.#service.frame : undefined;
  }

  /** The request that is not durable, if it was kept. */
  get unsettled(): Uint8Array | undefined {
    const service = this.#service;
    return service.kind === "running" || service.kind === "settling" ? service.frame : undefined;
  }

  /** Reply bytes that were not sent yet. */
  get unsent(): Uint8Array {
    if (this.#service.kind === "settling") return this.#service.bytes;
    return this.#service.kind === "writing" ? this.#service.rest : NOTHING;
  }

  /** Goes on with a reply that an earlier life has not sent wholly. @param unsent copied */
  restore(unsent: Uint8Array): void {
    if (unsent.length > 0) this.#service = { kind: "writing", rest: unsent.slice(), close: false };
  }

  /**
   * Begins to serve a request.
   *
   * @param header copied
   * @param program undefined when the server does not offer it
   * @param length kept bytes of the request
   * @param end where it ends, in bytes from the start of its turn's source
   */
  begin(header: Header, program: Program | undefined, length: number, end: number): PendingReply {
    invariant(this.#service.kind === "idle", "A request is begun while another one is in service");
    this.#length = length;
    this.#end = end;
    const reply = new PendingReply(this, header, program, this.#parts.clock());
    this.#service = { kind: "running", reply, frame: undefined };
    return reply;
  }

  /** A request that still waits for something: its bytes belong to the exchange, so they are copied. */
  keep(bytes: Uint8Array, at: number, length: number): void {
    const service = this.#service;
    if (service.kind !== "running" && service.kind !== "settling") return;
    service.frame ??= this.#parts.copies.copy(bytes, at, at + length);
  }

  /** A procedure, or the answer to it, failed in a way that nobody has foreseen. */
  crashed(reply: PendingReply, error: unknown): void {
    this.#parts.crashed(this.#client.peer.clientId, error);
    if (!reply.given) reply.fail(unexpected());
    // Its reply could not be written, and there is no second one.
    else if (this.#service.kind === "running") this.#client.end("a reply failed");
  }

  /** The request in service is answered. Called by its reply, once. */
  answer(reply: PendingReply, { code, encode, close }: Answer): void {
    const client = this.#client;
    if (client.closed || this.#service.kind !== "running" || this.#service.reply !== reply) return;
    const { frame } = this.#service;
    const { header } = reply;
    const { exchange } = this.#parts;
    this.#count(reply, code);
    header.type = MessageType.REPLY;
    header.status = code === 0 ? MessageStatus.OK : MessageStatus.ERROR;
    const bytes = replyBytes(exchange, header, encode);
    this.#service = { kind: "settling", bytes, close, frame };
    const atOnce = frame === undefined;
    const settled = this.#parts.durability.settle(
      {
        key: client.key,
        reply: bytes,
        length: frame?.length ?? this.#length,
        atOnce,
        turn: exchange.turn,
        end: this.#end,
      },
      (later) => this.#settled(later),
    );
    // The exchange serves others meanwhile.
    if (settled === "later") this.#service = { kind: "settling", bytes: bytes.slice(), close, frame };
    else if (atOnce) this.#send(bytes, close, this.#end, settled);
    else this.#settled(settled);
  }

  /** The client may read again: sends what is left of its reply, as far as it does. */
  sendRest(): void {
    if (this.#service.kind !== "writing") return;
    this.#send(this.#service.rest, this.#service.close, OUTSIDE_TURN, "recorded");
  }

  /**
   * Answers a keepalive message, also while a request is in service.
   *
   * @param answers see Exchange.beginReply()
   */
  pong(answers: number): void {
    const { exchange, durability } = this.#parts;
    const client = this.#client;
    const length = writePong(exchange.output, 0);
    const service = this.#service;
    exchange.beginReply(client.key, answers, "volatile");
    const taken = exchange.send(client.fd, length);
    if (taken === length) return exchange.finishReply();
    if (taken < 0 && !NOT_NOW.includes(taken)) return client.end(`send failed: ${strerror(-taken)}`);
    if (service.kind === "idle") {
      const rest = exchange.output.slice(Math.max(0, taken), length);
      this.#service = { kind: "writing", rest, close: false };
      durability.outputChanged(client, exchange.lastReply);
      client.update();
    } else if (taken > 0) {
      // The reply in service would be written into the middle of it.
      client.end("the client does not read");
    }
  }

  /** The client has gone: nothing more is sent, and a promised reply will not be begun. */
  withdraw(): void {
    this.#service = { kind: "idle" };
    this.#parts.exchange.withdrawReply();
  }

  #count({ program, header, started }: PendingReply, code: number): void {
    if (program === undefined) return;
    const { observer, clock } = this.#parts;
    const procedure = program.procedureNames.get(header.procedure) ?? "unknown";
    observer.served(program.name, procedure, code, clock() - started);
  }

  /** What the request did is settled, in another turn than the one in which it came. */
  #settled(how: "volatile" | "promised"): void {
    if (this.#client.closed) return this.#parts.exchange.withdrawReply();
    const service = this.#service;
    invariant(service.kind === "settling", `A request was settled while its client was ${service.kind}`);
    this.#send(service.bytes, service.close, OUTSIDE_TURN, how);
    this.#client.proceed();
  }

  /**
   * Sends a reply, or what was left of one, as far as the client reads. @param answers see
   * Exchange.beginReply()
   */
  #send(bytes: Uint8Array, close: boolean, answers: number, where: ReplyBytes): void {
    const { exchange, durability } = this.#parts;
    const client = this.#client;
    exchange.beginReply(client.key, answers, where);
    const sent = sendReply(exchange, client.fd, bytes);
    if (sent < 0) return client.end(`send failed: ${strerror(-sent)}`);
    if (sent < bytes.length) {
      this.#service = { kind: "writing", rest: bytes.slice(sent), close };
      durability.outputChanged(client, exchange.lastReply);
      return client.update();
    }
    const waited = this.#service.kind === "writing";
    this.#service = { kind: "idle" };
    if (waited) durability.outputChanged(client, exchange.lastReply);
    if (close) client.end("closed on request");
  }
}
