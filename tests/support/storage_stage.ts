import assert from "node:assert/strict";
import { OWNER_ONLY } from "../../src/chassis/config/socket_role.ts";
import type { EventLoop } from "../../src/chassis/event/event_loop.ts";
import { encodeFrame, MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { decodeRpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { SOCK_STREAM } from "../../src/os/constants.ts";
import type { DescriptorLedger } from "../../src/os/ledger.ts";
import type { StorageService } from "../../src/storaged/model/storage_service.ts";
import type { Authority } from "../../src/storaged/programs/authentication.ts";
import { PoolEvents } from "../../src/storaged/programs/pool_events.ts";
import { remoteProgram } from "../../src/storaged/programs/remote_program.ts";
import { type ClientPolicy, StorageServer } from "../../src/storaged/rpc/storage_server.ts";
import { ConnectProcedure, REMOTE_PROGRAM } from "../../src/storaged/wire/remote_protocol.ts";
import type { Frame } from "./frame_splitter.ts";
import { kernel } from "./kernel.ts";
import { playedStorage } from "./played_storage.ts";
import { RawClient } from "./raw_client.ts";
import { MovedLoop } from "./moved_loop.ts";
import { recordedLog } from "./recorded_log.ts";
import { Scratch } from "./scratch.ts";

/** What a test may choose of a {@link StorageStage}. */
export interface StageOptions {
  readonly storage?: Partial<StorageService>;
  readonly authority?: Authority;
  readonly policy?: Partial<ClientPolicy>;
  readonly maxClients?: number;
  readonly maxAnonymousClients?: number;
  /** The user that its clients are to be, if not this one. */
  readonly peerUid?: number;
  readonly othersServed?: boolean;
}

/** Lets everybody in without asking. */
const OPEN: Authority = {
  methodFor: () => "none",
  trusts: () => false,
  ask: (_client, done) => done({ kind: "denied" }),
};

/** A frame of the remote program. */
export function remoteFrame(
  procedure: number,
  serial: number,
  encode: (writer: XdrWriter) => void = () => {},
  type: number = MessageType.CALL,
  status: number = MessageStatus.OK,
): Uint8Array {
  const writer = new XdrWriter();
  encode(writer);
  return encodeFrame({ program: REMOTE_PROGRAM, version: 1, procedure, type, serial, status }, writer.bytes);
}

/**
 * The storage server with the remote program on real sockets, over a storage core that the test plays, and
 * with a clock that the test moves.
 */
export class StorageStage implements Disposable {
  readonly server: StorageServer;
  readonly events = new PoolEvents();
  /** What happened to clients and was logged. */
  readonly told: string[] = [];
  readonly #scratch = new Scratch();
  readonly #clients: RawClient[] = [];
  readonly #moved: MovedLoop;

  constructor(options: StageOptions = {}) {
    const { peerUid } = options;
    this.#moved = new MovedLoop({
      peerCredentials(fd, into) {
        const result = kernel.peerCredentials(fd, into);
        if (peerUid !== undefined) into.uid = peerUid;
        return result;
      },
    });
    const { sys } = this.#moved;
    const log = recordedLog((line) => this.told.push(line));
    this.server = new StorageServer({
      name: "virtstoraged",
      sys,
      loop: this.loop,
      ledger: this.ledger,
      programs: [remoteProgram({
        service: playedStorage(options.storage),
        events: this.events,
        authority: options.authority ?? OPEN,
        privileged: true,
        version: 1_002_003,
      })],
      limits: {
        maxClients: options.maxClients ?? 100,
        maxAnonymousClients: options.maxAnonymousClients ?? 100,
      },
      policy: {
        keepaliveInterval: 5000,
        keepaliveCount: 2,
        streamIdle: 60_000,
        mostCalls: 5,
        ...options.policy,
      },
      uid: kernel.uid(),
      othersServed: options.othersServed ?? true,
      observer: {
        connected: ({ clientId }) => this.told.push(`connected ${clientId}`),
        disconnected: ({ clientId }, reason) => this.told.push(`disconnected ${clientId}: ${reason}`),
        served: (program, procedure, code) => this.told.push(`served ${program}.${procedure}: ${code}`),
      },
      now: () => 1000 + this.#moved.ahead,
      log,
    });
    for (const readOnly of [false, true]) {
      const path = this.#path(readOnly);
      const fd = kernel.socket(SOCK_STREAM, true);
      assert.equal(kernel.bind(fd, path), 0);
      assert.equal(kernel.listen(fd, 100), 0);
      const role = readOnly ? "read-only" : "read-write";
      this.server.listen({ fd, role, path, access: OWNER_ONLY, unlink: true });
    }
    this.server.startAccepting();
  }

  #path(readOnly: boolean): string {
    return this.#scratch.file(readOnly ? "socket-ro" : "socket");
  }

  /** Connects a client, without a word. */
  connect(readOnly = false): RawClient {
    const client = RawClient.connect(this.#path(readOnly));
    this.#clients.push(client);
    this.turn();
    return client;
  }

  /** Connects a client that has opened storage:///system. */
  open(readOnly = false): RawClient {
    const client = this.connect(readOnly);
    this.call(client, ConnectProcedure.AUTH_LIST);
    this.call(client, ConnectProcedure.OPEN, (writer) => {
      writer.optionalString("storage:///system");
      writer.u32(0);
    });
    this.told.length = 0;
    return client;
  }

  get loop(): EventLoop {
    return this.#moved.loop;
  }

  get ledger(): DescriptorLedger {
    return this.#moved.ledger;
  }

  /** Serves until nothing is left to do. */
  turn(): void {
    this.#moved.turn();
  }

  /** Lets time go by: what is due runs. */
  wait(milliseconds: number): void {
    this.#moved.wait(milliseconds);
  }

  /** Calls a procedure and takes the answer. @returns the payload's reader, or the refusal as text */
  call(
    client: RawClient,
    procedure: number,
    encode: (writer: XdrWriter) => void = () => {},
  ): XdrReader | string {
    client.send(remoteFrame(procedure, 1, encode));
    this.turn();
    return answerOf(client.receive());
  }

  [Symbol.dispose](): void {
    for (const client of this.server.clients.values()) client.end("the test is over");
    for (const client of this.#clients) client[Symbol.dispose]();
    for (const { fd } of this.server.listeners) kernel.close(fd);
    this.#moved[Symbol.dispose]();
    this.#scratch[Symbol.dispose]();
  }
}

/** The payload's reader, or `CODE/DOMAIN MESSAGE` of a refusal. */
export function answerOf({ header, payload }: Frame): XdrReader | string {
  if (header.status !== MessageStatus.ERROR) return new XdrReader(payload);
  const { code, domain, message } = decodeRpcFailure(new XdrReader(payload));
  return `${code}/${domain} ${message}`;
}
