import assert from "node:assert/strict";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { EAGAIN, EPIPE } from "../../../../src/os/errno.ts";
import type { Mapping } from "../../../../src/os/sys.ts";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../../../src/chassis/rpc/plain_exchange.ts";
import { kernel } from "../../../support/kernel.ts";

/** An exchange and a connected pair of sockets: its own and its client's. */
class Fixture implements Disposable {
  readonly exchange: PlainExchange;
  readonly server: number;
  readonly client: number;

  constructor() {
    this.exchange = new PlainExchange(kernel, kernel.map(-1, PLAIN_EXCHANGE_SIZE) as Mapping);
    [this.server, this.client] = kernel.socketPair(SOCK_STREAM) as [number, number];
  }

  [Symbol.dispose](): void {
    kernel.close(this.server);
    kernel.close(this.client);
  }
}

Deno.test("PlainExchange receive() brings what a client sent, at most so much", () => {
  using fixture = new Fixture();
  kernel.write(fixture.client, new Uint8Array([1, 2, 3, 4, 5]));
  const { exchange, server } = fixture;
  assert.equal(exchange.receive(server, 3), 3);
  assert.deepEqual([...exchange.input.subarray(0, 3)], [1, 2, 3]);
  assert.equal(exchange.receive(server, 512), 2);
  assert.deepEqual([...exchange.input.subarray(0, 2)], [4, 5]);
});

Deno.test("PlainExchange receive() says when nothing is there, and when nothing will come", () => {
  using fixture = new Fixture();
  assert.equal(fixture.exchange.receive(fixture.server, 512), -EAGAIN);
  kernel.shutdown(fixture.client);
  assert.equal(fixture.exchange.receive(fixture.server, 512), 0);
});

Deno.test("PlainExchange send() sends the start of the output", () => {
  using fixture = new Fixture();
  const { exchange, server, client } = fixture;
  exchange.output.set([7, 8, 9]);
  assert.equal(exchange.send(server, 2), 2);
  const received = new Uint8Array(8);
  assert.equal(kernel.read(client, received), 2);
  assert.deepEqual([...received.subarray(0, 2)], [7, 8]);
});

Deno.test("PlainExchange send() gives the error of a client that has gone, without a signal", () => {
  using fixture = new Fixture();
  kernel.shutdown(fixture.client);
  assert.equal(fixture.exchange.send(fixture.server, 1), -EPIPE);
});
