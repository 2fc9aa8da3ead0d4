import { encodeFrame, MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { EAGAIN } from "../../src/os/errno.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { Download, StorageService, Upload } from "../../src/storaged/model/storage_service.ts";
import {
  ConnectProcedure,
  PoolProcedure,
  REMOTE_PROGRAM,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import { Random } from "../support/random.ts";
import type { RawClient } from "../support/raw_client.ts";
import { StorageStage } from "../support/storage_stage.ts";
import { kernel } from "../support/kernel.ts";
import type { FuzzOptions, FuzzReport } from "./fuzz_run.ts";

const POOL = { name: "p", uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f" };
const VOLUME = { pool: "p", name: "v", key: "/p/v" };
const PROCEDURES: readonly number[] = [
  ...Object.values(ConnectProcedure),
  ...Object.values(PoolProcedure),
  ...Object.values(VolumeProcedure),
  0,
  4,
  99999,
];
/** Clients at once. */
const CLIENTS = 6;
/** Messages between two looks at a client that behaves. */
const LOOK_EVERY = 200;

/** A storage core that takes everything, and streams that begin and end by chance. */
function storage(random: Random): Partial<StorageService> {
  const upload = (): Upload => ({
    write: (bytes) => random.once(4) ? 0 : Math.min(bytes.length, 1 + random.below(1 << 16)),
    hole: () => !random.once(3),
    ready: () => {},
    failed: () => {},
    finish: (answer) => answer({ kind: "done", value: undefined }),
    abort: (freed) => freed?.(),
  });
  const download = (): Download => ({
    next: (into) =>
      random.once(20) ? { kind: "end" } : { kind: "data", length: 1 + random.below(into.length - 1) },
    ready: () => {},
    close: () => {},
  });
  return {
    poolByName: (_name, answer) => answer({ kind: "done", value: POOL }),
    poolNames: (_active, answer) => answer({ kind: "done", value: ["p"] }),
    listPools: (_flags, answer) => answer({ kind: "done", value: [POOL] }),
    uploadVolume: (_caller, _volume, _range, _flags, answer) => answer({ kind: "done", value: upload() }),
    downloadVolume: (_caller, _volume, _range, _flags, answer) => answer({ kind: "done", value: download() }),
  };
}

/** Sends spoilt messages to the storage server, over real sockets in this process. */
export class StorageFuzz implements Disposable {
  readonly #random: Random;
  readonly #stage: StorageStage;
  readonly #clients = new Map<number, RawClient>();
  readonly #bystander: RawClient;
  readonly #received = new Uint8Array(1 << 18);

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#stage = new StorageStage({ storage: storage(this.#random.split(1)) });
    this.#bystander = this.#stage.open();
  }

  /** @throws Error when the server did something that it never may */
  run({ messages, seconds }: Pick<FuzzOptions, "messages" | "seconds">): FuzzReport {
    const begun = performance.now();
    let sent = 0;
    for (; sent < messages && performance.now() - begun < seconds * 1000; sent++) {
      this.#send();
      if (sent % LOOK_EVERY === 0) this.#look(sent);
    }
    this.#look(sent);
    return {
      messages: sent,
      succeeded: 0,
      seconds: (performance.now() - begun) / 1000,
      reExecs: 0,
      growth: undefined,
    };
  }

  #send(): void {
    const random = this.#random;
    const place = random.below(CLIENTS);
    let client = this.#clients.get(place);
    if (client === undefined || random.once(50)) {
      client?.[Symbol.dispose]();
      client = random.once(4) ? this.#stage.connect(random.once(2)) : this.#stage.open();
      this.#clients.set(place, client);
    }
    let bytes = this.#message();
    if (random.once(10)) bytes = bytes.subarray(0, random.below(bytes.length + 1));
    for (let spoilt = random.below(4); spoilt > 0 && bytes.length > 0; spoilt--) {
      if (random.once(3)) bytes[random.below(bytes.length)] = random.below(256);
    }
    client.offer(bytes);
    this.#stage.turn();
    // A client whose stream the server cannot follow any more is not there any more.
    if (!this.#drain(client)) {
      client[Symbol.dispose]();
      this.#clients.delete(place);
    }
  }

  /** Takes what the server has sent, so that neither side waits for the other. @returns whether it goes on */
  #drain({ fd }: RawClient): boolean {
    for (;;) {
      const received = kernel.receiveMessage(fd, this.#received, false);
      if (typeof received === "number") return received === -EAGAIN;
      if (received.length === 0) return false;
      this.#stage.turn();
      if (this.#random.once(8)) return true;
    }
  }

  #message(): Uint8Array {
    const random = this.#random;
    const writer = new XdrWriter();
    for (let part = random.below(5); part > 0; part--) this.#part(writer);
    const known = [MessageType.CALL, MessageType.CALL, MessageType.STREAM, MessageType.STREAM_HOLE];
    const header = {
      program: random.once(20) ? random.u32() : REMOTE_PROGRAM,
      version: random.once(30) ? 2 : 1,
      procedure: random.once(4) ? random.pick([208, 209]) : random.pick(PROCEDURES),
      type: random.once(12) ? random.below(9) : random.pick(known),
      serial: random.below(6),
      status: random.once(3) ? random.below(4) : MessageStatus.OK,
    };
    return encodeFrame(header, writer.bytes);
  }

  #part(writer: XdrWriter): void {
    const random = this.#random;
    switch (random.below(7)) {
      case 0:
        return writePool(writer, POOL);
      case 1:
        return writeVolume(writer, VOLUME);
      case 2:
        return writer.u64(BigInt(random.u32()) << BigInt(random.below(33)));
      case 3:
        return writer.string("x".repeat(random.below(300)));
      case 4:
        return writer.u32(random.u32());
      case 5:
        return writer.opaque(random.bytes(random.below(5000)));
      default:
        return writer.u32(random.below(4));
    }
  }

  /** Who behaves is served, nothing failed unexpectedly, and nothing is left of those who are gone. */
  #look(message: number): void {
    const { told, server } = this.#stage;
    const crashed = told.find((line) => line.includes("failed unexpectedly"));
    if (crashed !== undefined) throw new Error(`At message ${message}: ${crashed}`);
    const answer = this.#stage.call(this.#bystander, ConnectProcedure.IS_SECURE);
    if (typeof answer === "string" || answer.i32() !== 1) {
      throw new Error(`At message ${message}: a client that behaves is not served`);
    }
    if (server.clients.size > 3 * CLIENTS) {
      throw new Error(`At message ${message}: ${server.clients.size} clients are left`);
    }
    told.length = 0;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client[Symbol.dispose]();
    this.#stage[Symbol.dispose]();
  }
}
