import assert from "node:assert/strict";
import { EAGAIN } from "../../../../src/os/errno.ts";
import type { Mapping } from "../../../../src/os/sys.ts";
import {
  CountedExchange,
  EXCHANGE_SIZE,
  readExchange,
} from "../../../../src/chassis/rpc/counted_exchange.ts";
import { OUTSIDE_TURN } from "../../../../src/chassis/rpc/exchange.ts";
import { InvariantError } from "../../../../src/base/invariant.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";

const OFFSET = 4096;
const CLIENT = 2;
const OTHER = 5;

/** An exchange with a real socket pair at its end, and the memory that a kill would leave. */
class Stage implements Disposable {
  readonly memory: Mapping;
  readonly exchange: CountedExchange;
  /** The daemon's end. */
  readonly fd: number;
  readonly peer: number;
  /** What the memory says inside of each send and receive, before and after the kernel has done it. */
  readonly inside: ReturnType<typeof readExchange>[] = [];
  blocked = false;

  constructor() {
    const memory = kernel.map(-1, OFFSET + EXCHANGE_SIZE);
    const ends = kernel.socketPair(SOCK_STREAM);
    if (typeof memory === "number" || typeof ends === "number") throw new Error("No memory or sockets");
    [this.fd, this.peer] = ends;
    this.memory = memory;
    this.exchange = this.again();
  }

  /** Another exchange over the same memory: the next daemon's. */
  again(): CountedExchange {
    const observed = (call: (fd: number, header: Deno.PointerValue) => number) =>
    (
      fd: number,
      header: Deno.PointerValue,
    ) => {
      this.inside.push(this.left);
      const result = this.blocked ? -EAGAIN : call(fd, header);
      this.inside.push(this.left);
      return result;
    };
    return new CountedExchange(
      { receivePrepared: observed(kernel.receivePrepared), sendPrepared: observed(kernel.sendPrepared) },
      this.memory,
      OFFSET,
    );
  }

  /** What a kill at this moment would leave. */
  get left() {
    return readExchange(this.memory.bytes, OFFSET);
  }

  [Symbol.dispose](): void {
    kernel.close(this.fd);
    kernel.close(this.peer);
  }
}

Deno.test("readExchange() of fresh memory is nothing", () => {
  using stage = new Stage();
  assert.deepEqual(stage.left, {
    turn: 0,
    client: 0,
    received: new Uint8Array(0),
    consumed: 0,
    done: 0,
    reply: { number: 0, client: 0, sent: 0, bytes: new Uint8Array(0) },
  });
});

Deno.test("Exchange.receive() leaves what it received as soon as the kernel has given it", () => {
  using stage = new Stage();
  kernel.send(stage.peer, new Uint8Array([1, 2, 3]));
  assert.equal(stage.exchange.receive(stage.fd, 512, CLIENT), 3);
  const [before, after] = stage.inside;
  assert.deepEqual([before?.client, before?.received], [CLIENT, new Uint8Array(0)]);
  assert.deepEqual([after?.client, after?.received, after?.consumed], [CLIENT, new Uint8Array([1, 2, 3]), 0]);
});

Deno.test("Exchange.receive() forgets the turn before it", () => {
  using stage = new Stage();
  kernel.send(stage.peer, new Uint8Array([1, 2, 3]));
  stage.exchange.receive(stage.fd, 512, CLIENT);
  stage.exchange.beginReply(CLIENT, 3, "volatile");
  stage.exchange.send(stage.fd, 2);
  stage.exchange.finishReply();
  assert.equal(stage.left.consumed, 3);
  assert.equal(stage.exchange.receive(stage.fd, 512, OTHER), -EAGAIN);
  assert.deepEqual([stage.left.turn, stage.left.client, stage.left.consumed], [2, OTHER, 0]);
});

Deno.test("Exchange.send() consumes the request as soon as the kernel has taken a byte of its reply", () => {
  using stage = new Stage();
  const { exchange } = stage;
  kernel.send(stage.peer, new Uint8Array([1, 2, 3, 4]));
  exchange.receive(stage.fd, 512, CLIENT);
  exchange.output.set([7, 8]);
  exchange.beginReply(CLIENT, 3, "volatile");
  stage.inside.splice(0);
  assert.equal(exchange.send(stage.fd, 2), 2);
  const [before, after] = stage.inside;
  assert.deepEqual([before?.consumed, before?.reply.sent], [0, 0]);
  assert.deepEqual([after?.consumed, after?.reply.sent, after?.done], [3, 2, 0]);
  assert.deepEqual(after?.reply.bytes, new Uint8Array([7, 8]));
  exchange.finishReply();
  assert.deepEqual([stage.left.consumed, stage.left.done], [3, 1]);
});

Deno.test("Exchange.send() that the kernel refuses leaves the request unanswered", () => {
  using stage = new Stage();
  kernel.send(stage.peer, new Uint8Array([1]));
  stage.exchange.receive(stage.fd, 512, CLIENT);
  stage.blocked = true;
  stage.exchange.beginReply(CLIENT, 1, "volatile");
  assert.equal(stage.exchange.send(stage.fd, 2), -EAGAIN);
  assert.deepEqual([stage.left.consumed, stage.left.reply.sent, stage.left.received?.length], [0, 0, 1]);
});

Deno.test("Exchange.send() in several parts never shows fewer or more bytes than were sent", () => {
  using stage = new Stage();
  const { exchange } = stage;
  exchange.beginReply(CLIENT, OUTSIDE_TURN, "recorded");
  stage.inside.splice(0);
  for (const length of [1000, 2000, 500]) {
    assert.equal(exchange.send(stage.fd, length), length);
  }
  assert.deepEqual(stage.inside.map(({ reply }) => reply.sent), [0, 1000, 1000, 3000, 3000, 3500]);
  assert.ok(stage.inside.every(({ reply }) => reply.bytes === undefined && reply.client === CLIENT));
});

Deno.test("Exchange.beginReply() shows nothing of the reply before", () => {
  using stage = new Stage();
  const { exchange } = stage;
  exchange.beginReply(CLIENT, OUTSIDE_TURN, "recorded");
  exchange.send(stage.fd, 1000);
  exchange.send(stage.fd, 1000);
  exchange.finishReply();
  exchange.beginReply(OTHER, OUTSIDE_TURN, "volatile");
  assert.deepEqual([stage.left.reply.number, stage.left.reply.sent, stage.left.done], [2, 0, 1]);
});

Deno.test("Exchange.serveStored() begins a turn whose bytes a journal has", () => {
  using stage = new Stage();
  stage.exchange.serveStored(CLIENT);
  assert.deepEqual([stage.left.turn, stage.left.client, stage.left.received], [1, CLIENT, undefined]);
});

Deno.test("Exchange goes on with the numbers of the daemon that used its memory before, and changes nothing by that", () => {
  using stage = new Stage();
  stage.exchange.serveStored(CLIENT);
  stage.exchange.beginReply(CLIENT, 5, "recorded");
  stage.exchange.send(stage.fd, 10);
  const before = stage.left;
  const next = stage.again();
  assert.deepEqual(stage.left, before);
  assert.deepEqual([next.turn, next.lastReply.number], [1, 1]);
  next.serveStored(OTHER);
  next.beginReply(OTHER, 5, "recorded");
  assert.deepEqual([stage.left.turn, stage.left.reply.number], [2, 2]);
});

Deno.test("Exchange.promiseReply() gives the number with which the next reply is begun", () => {
  using stage = new Stage();
  const { exchange } = stage;
  exchange.beginReply(OTHER, OUTSIDE_TURN, "volatile");
  exchange.finishReply();
  assert.equal(exchange.promiseReply(), 2);
  exchange.beginReply(CLIENT, OUTSIDE_TURN, "promised");
  assert.deepEqual([exchange.lastReply.number, stage.left.reply.number], [2, 2]);
});

for (const bytes of ["volatile", "recorded"] as const) {
  Deno.test(`Exchange.beginReply() of a ${bytes} reply throws when another one was promised, and changes nothing`, () => {
    using stage = new Stage();
    stage.exchange.promiseReply();
    const before = stage.left;
    assert.throws(() => stage.exchange.beginReply(OTHER, OUTSIDE_TURN, bytes), InvariantError);
    assert.deepEqual(stage.left, before);
  });
}

Deno.test("Exchange.beginReply() throws when a reply is said to be promised and none was", () => {
  using stage = new Stage();
  assert.throws(() => stage.exchange.beginReply(CLIENT, OUTSIDE_TURN, "promised"), InvariantError);
});

Deno.test("Exchange.withdrawReply() lets others have the number that was promised to a client that has gone", () => {
  using stage = new Stage();
  stage.exchange.promiseReply();
  stage.exchange.withdrawReply();
  stage.exchange.beginReply(OTHER, OUTSIDE_TURN, "volatile");
  assert.equal(stage.exchange.lastReply.number, 1);
});
