import assert from "node:assert/strict";
import {
  asProgram,
  type Procedure as ServedProcedure,
  type Reply,
} from "../../../../src/chassis/rpc/program.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { Connection } from "../../../../src/chassis/rpc/connection.ts";
import type { Durability } from "../../../../src/chassis/rpc/durability.ts";
import { CountedExchange, EXCHANGE_SIZE } from "../../../../src/chassis/rpc/counted_exchange.ts";
import type { Exchange } from "../../../../src/chassis/rpc/exchange.ts";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../../../src/chassis/rpc/plain_exchange.ts";
import type { Mapping } from "../../../../src/os/sys.ts";
import { FrameCopies } from "../../../../src/chassis/rpc/frame_copies.ts";
import { InputBudget } from "../../../../src/chassis/rpc/input_budget.ts";
import { encodeFrame, MessageStatus, MessageType } from "../../../../src/chassis/wire/frame.ts";
import { decodeRpcFailure, ErrorDomain, invalidArg } from "../../../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../../../src/chassis/wire/xdr_reader.ts";
import { type Frame, FrameSplitter } from "../../../support/frame_splitter.ts";
import { kernel } from "../../../support/kernel.ts";

export const PROGRAM = 7;
export const Procedure = { ECHO: 1, LATER: 2, REFUSE: 3, CRASH: 4, CLOSE: 5, BIG: 6, TWICE: 7 } as const;
export const BIG = 1_000_000;
/** Takes long messages, but has no procedure. */
const LARGE_PROGRAM = asProgram<null>({
  name: "large",
  number: 8,
  version: 1,
  maxPayload: 50_000,
  procedures: new Map(),
  connect: () => null,
  disconnect() {},
});
/** Bytes that all connections of a stage may keep beyond what each may. */
export const LIMIT = 100_000;
const PEER = { clientId: 21, pid: 1, uid: 2, gid: 3, connectedAt: 4, security: "", pidfd: -1 };
export const VOLATILE: Durability = { settle: () => "volatile", inputChanged() {}, outputChanged() {} };

/** A connection over a real socket pair, with a program that answers as the test wants it to. */
export class Stage implements Disposable {
  readonly loop = new EventLoop(kernel);
  readonly budget = new InputBudget(LIMIT);
  readonly replies: Reply[] = [];
  readonly seen: string[] = [];
  readonly near: number;
  readonly far: number;
  connection: Connection;
  readonly #exchange: Exchange;
  readonly #durability: Durability;
  readonly #splitter = new FrameSplitter();
  #farOpen = true;

  constructor(exchange: Exchange, durability = VOLATILE) {
    const pair = kernel.socketPair(SOCK_STREAM);
    assert.ok(typeof pair !== "number");
    [this.near, this.far] = pair;
    this.#exchange = exchange;
    this.#durability = durability;
    this.connection = this.connect();
  }

  /** Another connection on the same socket, as the next image of the daemon makes it. Not started. */
  connect(): Connection {
    const program = asProgram<string[]>({
      name: "test",
      number: PROGRAM,
      version: 1,
      maxPayload: 100,
      procedures: new Map<number, ServedProcedure<string[]>>([
        [Procedure.ECHO, {
          name: "Echo",
          run: (seen, args, reply) => {
            const value = args.u32();
            seen.push(`echo ${value}`);
            reply.ok((writer) => writer.u32(value));
          },
        }],
        [Procedure.LATER, {
          name: "Later",
          run: (seen, args, reply) => {
            seen.push(`later ${args.u32()}`);
            this.replies.push(reply);
          },
        }],
        [Procedure.REFUSE, {
          name: "Refuse",
          run() {
            throw invalidArg(ErrorDomain.RPC, "no");
          },
        }],
        [Procedure.CRASH, {
          name: "Crash",
          run() {
            throw new TypeError("a defect");
          },
        }],
        [Procedure.CLOSE, { name: "Close", run: (_seen, _args, reply) => reply.okAndClose() }],
        [Procedure.BIG, {
          name: "Big",
          run: (_seen, _args, reply) => reply.ok((writer) => writer.opaque(new Uint8Array(BIG).fill(0x5a))),
        }],
        [Procedure.TWICE, {
          name: "Twice",
          run(_seen, _args, reply) {
            reply.ok();
            reply.ok();
          },
        }],
      ]),
      connect: () => this.seen,
      disconnect: (seen) => seen.push("disconnected"),
    });
    return new Connection(
      {
        loop: this.loop,
        exchange: this.#exchange,
        programs: [program, LARGE_PROGRAM],
        observer: {
          served: (name, procedure, code) => this.seen.push(`served ${name} ${procedure} ${code}`),
        },
        durability: this.#durability,
        budget: this.budget,
        copies: new FrameCopies(),
        keyOf: (id) => id * 2,
        clock: () => 0,
        ended: (_connection, reason) => this.seen.push(`ended: ${reason}`),
        crashed: (_connection, error) => this.seen.push(`crashed: ${error}`),
      },
      this.near,
      PEER,
    );
  }

  send(...messages: Uint8Array[]): void {
    for (const bytes of messages) assert.equal(kernel.send(this.far, bytes), bytes.length);
    this.turn();
  }

  /** Lets the connection do all that it can. */
  turn(): void {
    while (this.loop.turn(0) > 0);
    this.loop.turn(0);
  }

  /** Messages that have come. */
  received(): Frame[] {
    const bytes = new Uint8Array(65536);
    const frames: Frame[] = [];
    for (;;) {
      const count = this.#farOpen ? kernel.receiveMessage(this.far, bytes, false) : -1;
      if (typeof count === "number" || count.length === 0) return frames;
      frames.push(...this.#splitter.push(bytes.subarray(0, count.length)));
      this.turn();
    }
  }

  /** Serials of the replies that have come. */
  serials(): number[] {
    return this.received().map(({ header }) => header.serial);
  }

  /** The client goes away. */
  hangUp(): void {
    if (this.#farOpen) kernel.close(this.far);
    this.#farOpen = false;
    this.turn();
  }

  /** What was seen since it was last asked. */
  events(): string[] {
    return this.seen.splice(0);
  }

  [Symbol.dispose](): void {
    this.connection.end("test");
    this.hangUp();
    kernel.close(this.near);
    this.loop.close();
  }
}

export function call(procedure: number, serial: number, value = serial): Uint8Array {
  const header = {
    program: PROGRAM,
    version: 1,
    procedure,
    type: MessageType.CALL,
    serial,
    status: MessageStatus.OK,
  };
  return encodeFrame(header, new Uint8Array([0, 0, 0, value]));
}

/**
 * Where clients' bytes pass: what they have in common is the same, whether it counts for a next life or not.
 */
const EXCHANGES: Readonly<Record<string, () => Exchange>> = {
  counted: () => new CountedExchange(kernel, mapped(EXCHANGE_SIZE), 0),
  plain: () => new PlainExchange(kernel, mapped(PLAIN_EXCHANGE_SIZE)),
};

/** Memory of a test's own. */
export function mapped(size: number): Mapping {
  const memory = kernel.map(-1, size);
  assert.ok(typeof memory !== "number");
  return memory;
}

/**
 * A test of a connection, over each kind of exchange. @param run gets a function that makes a stage and
 * starts it
 */
export function both(name: string, run: (started: (durability?: Durability) => Stage) => void): void {
  for (const [kind, exchange] of Object.entries(EXCHANGES)) {
    Deno.test(`Connection over a ${kind} exchange ${name}`, () =>
      run((durability) => {
        const stage = new Stage(exchange(), durability);
        stage.connection.start();
        return stage;
      }));
  }
}

export function failure(stage: Stage): string {
  const [frame = assert.fail("no reply")] = stage.received();
  const { code, domain, message } = decodeRpcFailure(new XdrReader(frame.payload));
  return `${code}/${domain} ${message}`;
}
