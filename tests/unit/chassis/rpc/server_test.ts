import assert from "node:assert/strict";
import { OWNER_ONLY } from "../../../../src/chassis/config/socket_role.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { EPOLLIN, SOCK_STREAM } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { CountedExchange, EXCHANGE_SIZE } from "../../../../src/chassis/rpc/counted_exchange.ts";
import { RpcServer } from "../../../../src/chassis/rpc/server.ts";
import { asProgram } from "../../../../src/chassis/rpc/program.ts";
import { encodeFrame } from "../../../../src/chassis/wire/frame.ts";
import { kernel } from "../../../support/kernel.ts";
import { recordedLog } from "../../../support/recorded_log.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const CALL = encodeFrame(
  { program: 7, version: 1, procedure: 1, type: 0, serial: 5, status: 0 },
  new Uint8Array(0),
);
const UID = kernel.uid();

/**
 * A server with a real socket, on a kernel whose calls the test may replace, and a clock that the test moves.
 */
class Stage implements Disposable {
  readonly faults: Partial<Sys> = {};
  readonly events: string[] = [];
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly server: RpcServer;
  readonly #scratch = new Scratch();
  readonly #before = openDescriptors();
  readonly #clients: number[] = [];
  #ahead = 0;

  constructor(maxClients = 10, uid = UID) {
    // Looked up at each call: what a test replaces later counts, too.
    const sys = new Proxy<Sys>(kernel, {
      get: (target, name) => Reflect.get(this.faults, name) ?? Reflect.get(target, name),
    });
    // It goes on when the test says so, and a little at each look: a loop may poll for some time.
    let now = kernel.monotonic();
    this.faults.monotonic = () => (now += 0.001) + this.#ahead;
    this.loop = new EventLoop(sys);
    this.ledger = new DescriptorLedger(kernel);
    const memory = kernel.map(-1, EXCHANGE_SIZE);
    assert.ok(typeof memory !== "number");
    const program = asProgram<null>({
      name: "test",
      number: 7,
      version: 1,
      maxPayload: 8,
      procedures: new Map([[1, { name: "Call", run: (_session, _args, reply) => reply.ok() }]]),
      connect: () => null,
      disconnect() {},
    });
    const log = recordedLog((line) => this.events.push(line));
    this.server = new RpcServer({
      name: "virtlockd",
      ordinal: 0,
      sys,
      loop: this.loop,
      ledger: this.ledger,
      exchange: new CountedExchange(kernel, memory, 0),
      programs: [program],
      limits: { maxClients, maxAnonymousClients: maxClients },
      uid,
      observer: {
        served() {},
        connected: (_server, { peer }) => this.events.push(`connected ${peer.clientId}`),
        disconnected: (_server, { peer }, reason) =>
          this.events.push(`disconnected ${peer.clientId}: ${reason}`),
      },
      durability: { settle: () => "volatile", inputChanged() {}, outputChanged() {} },
      clock: () => 0,
      now: () => 1000,
      log,
    });
    const path = this.#scratch.file("socket");
    const fd = kernel.socket(SOCK_STREAM, true);
    assert.equal(kernel.bind(fd, path), 0);
    assert.equal(kernel.listen(fd, 100), 0);
    this.server.listen({ fd, role: "read-write", path, access: OWNER_ONLY, unlink: true });
  }

  /** Connects a client and sends a call. */
  connect(): number {
    const fd = kernel.socket(SOCK_STREAM, false);
    this.#clients.push(fd);
    assert.equal(kernel.connect(fd, this.#scratch.file("socket")), 0);
    kernel.send(fd, CALL);
    this.turn();
    return fd;
  }

  turn(): void {
    while (this.loop.turn(0) > 0);
    this.loop.turn(0);
  }

  /** Lets time go by: what is due runs. */
  wait(milliseconds: number): void {
    // Set before the clock goes on, so that the kernel's timer fires now.
    this.loop.after(0, () => {});
    this.#ahead += milliseconds;
    while (this.loop.turn(100) > 0);
  }

  /** What a client has got: a reply, the end of the connection, or nothing. */
  state(fd: number): "served" | "closed" | "waiting" {
    const received = kernel.receiveMessage(fd, new Uint8Array(100), false);
    if (typeof received === "number") return received === -11 ? "waiting" : "closed";
    return received.length > 0 ? "served" : "closed";
  }

  /** A client goes away. */
  leave(fd: number): void {
    kernel.close(fd);
    this.#clients.splice(this.#clients.indexOf(fd), 1);
    this.turn();
  }

  [Symbol.dispose](): void {
    for (const name of Object.keys(this.faults)) Reflect.deleteProperty(this.faults, name);
    this.server.stopAccepting();
    for (const connection of [...this.server.clients.values()]) connection.end("test");
    for (const fd of this.#clients) kernel.close(fd);
    for (const { fd } of this.server.listeners) this.ledger.close(fd);
    assert.deepEqual([...this.ledger.entries()], []);
    this.loop.close();
    this.#scratch[Symbol.dispose]();
    assert.deepEqual(openedSince(this.#before), []);
  }
}

function started(maxClients?: number, uid?: number): Stage {
  const stage = new Stage(maxClients, uid);
  stage.server.startAccepting();
  return stage;
}

Deno.test("RpcServer admits clients with ids that count up and gives everything back when they leave", () => {
  using stage = started();
  const [one, two] = [stage.connect(), stage.connect()];
  assert.deepEqual([stage.state(one), stage.state(two)], ["served", "served"]);
  assert.deepEqual([...stage.server.clients.keys()], [1, 2]);
  stage.leave(one);
  const three = stage.connect();
  assert.equal(stage.state(three), "served");
  assert.deepEqual(stage.events, [
    "connected 1",
    "connected 2",
    "disconnected 1: end of stream",
    "connected 3",
  ]);
  assert.equal(stage.server.nextClientId, 4);
});

Deno.test("RpcServer lets connections wait until it accepts", () => {
  using stage = new Stage();
  const client = stage.connect();
  assert.equal(stage.state(client), "waiting");
  stage.server.startAccepting();
  stage.turn();
  assert.equal(stage.state(client), "served");
  stage.server.stopAccepting();
  const late = stage.connect();
  assert.equal(stage.state(late), "waiting");
  stage.server.startAccepting();
  stage.server.startAccepting();
  stage.turn();
  assert.equal(stage.state(late), "served");
});

Deno.test("RpcServer stops at its limit, says so once, and goes on when a client leaves", () => {
  using stage = started(2);
  const [one, two, three, four] = [stage.connect(), stage.connect(), stage.connect(), stage.connect()];
  assert.deepEqual([one, two, three, four].map((fd) => stage.state(fd)), [
    "served",
    "served",
    "waiting",
    "waiting",
  ]);
  const warning =
    "warn: Server virtlockd has 2 clients, its limit: new ones wait until one leaves, or the limit is raised";
  assert.deepEqual(stage.events, ["connected 1", "connected 2", warning]);
  stage.leave(one);
  assert.deepEqual([three, four].map((fd) => stage.state(fd)), ["served", "waiting"]);
  stage.server.setLimits({ maxClients: 3 });
  stage.turn();
  assert.equal(stage.state(four), "served");
});

Deno.test("RpcServer with a limit below its clients lets none in until enough have left", () => {
  using stage = started(3);
  const [one, two] = [stage.connect(), stage.connect()];
  stage.server.setLimits({ maxClients: 1 });
  const three = stage.connect();
  stage.leave(one);
  assert.equal(stage.state(three), "waiting");
  stage.leave(two);
  assert.equal(stage.state(three), "served");
});

Deno.test("RpcServer turns peers of another user away", () => {
  using stage = started(10, UID + 1);
  const client = stage.connect();
  assert.equal(stage.state(client), "closed");
  assert.deepEqual(stage.events, [
    `warn: Refused a connection to server virtlockd: process ${Deno.pid} has uid ${UID}, wanted ${
      UID + 1
    }, the user that this daemon serves`,
  ]);
  assert.equal(stage.server.nextClientId, 1);
});

Deno.test("RpcServer without descriptors waits half a second before it accepts again", () => {
  using stage = started();
  let accepts = 0;
  stage.faults.accept = () => {
    accepts++;
    return -24;
  };
  const client = stage.connect();
  for (let turn = 0; turn < 5; turn++) stage.turn();
  assert.equal(accepts, 1);
  assert.deepEqual(stage.events, [
    "error: accept4 a client of virtlockd: Too many open files (EMFILE); new clients wait; raise what the service may use",
  ]);
  stage.wait(501);
  assert.equal(accepts, 2);
  delete stage.faults.accept;
  stage.wait(501);
  assert.equal(stage.state(client), "served");
});

Deno.test("RpcServer without descriptors accepts again as soon as a client leaves", () => {
  using stage = started();
  const first = stage.connect();
  stage.faults.accept = () => -23;
  const second = stage.connect();
  delete stage.faults.accept;
  stage.leave(first);
  assert.equal(stage.state(second), "served");
});

Deno.test("RpcServer goes on when a peer gave up before it was accepted", () => {
  using stage = started();
  const results = [-103, -11];
  stage.faults.accept = (fd) => results.shift() ?? kernel.accept(fd);
  const client = stage.connect();
  assert.equal(stage.state(client), "served");
});

Deno.test("RpcServer refuses the one connection that it has no pidfd for", () => {
  using stage = started();
  stage.faults.peerPidfd = () => -24;
  stage.faults.pidfdOpen = () => -24;
  const refused = stage.connect();
  assert.equal(stage.state(refused), "closed");
  assert.deepEqual(stage.events, [
    `error: Refused a connection to server virtlockd: getsockopt SO_PEERPIDFD process ${Deno.pid}: Too many open files (EMFILE)`,
  ]);
  delete stage.faults.peerPidfd;
  assert.equal(stage.state(stage.connect()), "served");
});

Deno.test("RpcServer serves a client that the kernel cannot watch as soon as it can", () => {
  using stage = started();
  stage.faults.epollControl = () => -28;
  const client = stage.connect();
  assert.equal(stage.state(client), "waiting");
  delete stage.faults.epollControl;
  stage.wait(101);
  assert.equal(stage.state(client), "served");
});

Deno.test("RpcServer refuses a connection whose peer cannot be known", () => {
  using stage = started();
  stage.faults.peerCredentials = () => -105;
  assert.equal(stage.state(stage.connect()), "closed");
  assert.match(stage.events[0] ?? "", /^error: Refused a connection .*getsockopt SO_PEERCRED client/);
});

Deno.test("RpcServer adopts clients with their ids, and goes on behind the greatest", () => {
  using stage = new Stage();
  const pair = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof pair !== "number");
  const [near, far] = pair;
  stage.server.adopt({
    id: 7,
    fd: near,
    pidfd: -1,
    connectedAt: 5,
    unserved: { bytes: CALL.slice(0, 10), dropped: 0 },
    unsent: new Uint8Array([1, 2, 3]),
  });
  assert.equal(stage.server.nextClientId, 8);
  stage.turn();
  assert.equal(stage.state(far), "waiting");
  stage.server.startAccepting();
  kernel.send(far, CALL.subarray(10));
  stage.turn();
  const received = kernel.receiveMessage(far, new Uint8Array(100), false);
  assert.equal(typeof received === "number" ? received : received.length, 3 + 28);
  stage.connect();
  assert.deepEqual([...stage.server.clients.keys()], [7, 8]);
  kernel.close(far);
  stage.turn();
  assert.deepEqual([...stage.server.clients.keys()], [8]);
});

Deno.test("RpcServer does not begin with an adopted client that has ended: its descriptor is another's", () => {
  using stage = new Stage();
  const pair = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof pair !== "number");
  const [near, far] = pair;
  const connection = stage.server.adopt({
    id: 7,
    fd: near,
    pidfd: -1,
    connectedAt: 5,
    unserved: { bytes: new Uint8Array(0), dropped: 0 },
    unsent: new Uint8Array(0),
  });
  connection.end("its guest has ended");
  const other = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof other !== "number");
  assert.equal(other[0], near);
  stage.loop.add(near, EPOLLIN, () => {
    stage.events.push("the other's");
    stage.loop.remove(near);
  });
  stage.server.startAccepting();
  kernel.send(other[1], CALL);
  stage.turn();
  assert.deepEqual(stage.events, ["disconnected 7: its guest has ended", "the other's"]);
  for (const fd of [...other, far]) kernel.close(fd);
});

Deno.test("RpcServer listens on another socket in the place of one, and loses nobody who has come to that", () => {
  using stage = started();
  const one = stage.connect();
  const [old] = stage.server.listeners;
  assert.ok(old !== undefined);
  const late = kernel.socket(SOCK_STREAM, false);
  assert.equal(kernel.connect(late, old.path), 0);
  assert.equal(kernel.unlink(old.path), 0);

  const fd = kernel.socket(SOCK_STREAM, true);
  assert.equal(kernel.bind(fd, old.path), 0);
  assert.equal(kernel.listen(fd, 100), 0);
  stage.server.listenInstead({ ...old, fd });
  assert.deepEqual(stage.server.listeners, [{ ...old, fd }]);
  assert.deepEqual([...stage.server.clients.keys()], [1, 2]);
  const two = stage.connect();
  assert.deepEqual([one, two].map((client) => stage.state(client)), ["served", "served"]);
  kernel.close(late);
  stage.turn();

  stage.server.stopAccepting();
  const again = kernel.socket(SOCK_STREAM, true);
  kernel.unlink(old.path);
  assert.equal(kernel.bind(again, old.path), 0);
  assert.equal(kernel.listen(again, 100), 0);
  stage.server.listenInstead({ ...old, fd: again });
  const three = stage.connect();
  assert.equal(stage.state(three), "waiting");
  stage.server.startAccepting();
  stage.turn();
  assert.equal(stage.state(three), "served");
});
