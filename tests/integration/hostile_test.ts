import { deepStrictEqual, ok } from "node:assert/strict";
import {
  encodeFrame,
  FRAME_MAX,
  FRAME_MIN,
  MessageStatus,
  MessageType,
} from "../../src/chassis/wire/frame.ts";
import { LOCK_PROGRAM, LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeRegister, encodeResource } from "../support/lock_codec.ts";
import { ErrorCode } from "../../src/chassis/wire/rpc_error.ts";
import { Bystander } from "../fuzz/bystander.ts";
import { Daemon } from "../support/daemon.ts";
import { testOwner } from "../support/lock_client.ts";
import { openDescriptors, ownKiB, taskState } from "../support/process_usage.ts";
import { lockCall, RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";

const MEGABYTE = 1024 * 1024;
/** A request that changes nothing: CREATE_LOCKSPACE of the default one. */
const NOTHING = lockCall(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(""), 7);

/** A daemon with a client that behaves. */
class Target implements AsyncDisposable {
  readonly daemon: Daemon;
  readonly #bystander: Bystander;
  readonly #memory: number;
  readonly #descriptors: number;

  private constructor(daemon: Daemon) {
    this.daemon = daemon;
    this.#bystander = new Bystander(daemon.socket, daemon.place.makeDirectory("bystander"));
    // What a first request brings in is not what the test is about.
    for (let round = 0; round < 20; round++) this.#bystander.check();
    this.#memory = this.memory;
    this.#descriptors = this.descriptors;
  }

  static async start(): Promise<Target> {
    return new Target(await Daemon.start({ env: { LIBVIRT_LOG_OUTPUTS: "4:stderr" } }));
  }

  /** Its own memory, in MiB. */
  get memory(): number {
    return ownKiB(this.daemon.pid) / 1024;
  }

  get descriptors(): number {
    return openDescriptors(this.daemon.pid);
  }

  /** Has the well-behaved client make its round. @throws Error when it is refused or gets no answer */
  round(): void {
    this.#bystander.check();
  }

  /** What the daemon has grown by. */
  grown(most: number): void {
    const grown = this.memory - this.#memory;
    ok(grown < most, `memory grew by ${grown.toFixed(1)} MiB, wanted less than ${most}`);
  }

  /** Waits until it has closed what it had opened. */
  async recovered(): Promise<void> {
    await until("descriptors to be closed", () => this.descriptors <= this.#descriptors);
    this.round();
    deepStrictEqual(this.daemon.log.text, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bystander[Symbol.dispose]();
    await this.daemon[Symbol.asyncDispose]();
  }
}

/** The first bytes of a message of the greatest length. */
function giant(procedure: number, payload: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = {
    program: LOCK_PROGRAM,
    version: 1,
    procedure,
    type: MessageType.CALL,
    serial: 9,
    status: 0,
  };
  const frame = encodeFrame(header, payload);
  new DataView(frame.buffer).setUint32(0, FRAME_MAX);
  return frame;
}

function repeat(bytes: Uint8Array, times: number): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(bytes.length * times);
  for (let index = 0; index < times; index++) all.set(bytes, index * bytes.length);
  return all;
}

/** A client that has registered an owner and may ask for files by their paths. */
function registered(daemon: Daemon, pid: number): RawClient {
  const client = RawClient.connect(daemon.socket);
  client.request(
    LockProcedure.REGISTER,
    (writer) => encodeRegister(writer, { owner: testOwner(pid), flags: 0 }),
  );
  client.request(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(""));
  return client;
}

Deno.test("Daemon serves who asks for one thing before those who ask for much have all of theirs", async () => {
  await using target = await Target.start();
  const { daemon } = target;
  const directory = daemon.place.makeDirectory("disks");
  const wanted = (name: string) => {
    const path = `${directory}/${name}`;
    Deno.writeTextFileSync(path, "");
    return lockCall(
      LockProcedure.ACQUIRE_RESOURCE,
      (writer) => encodeResource(writer, { path: "", name: path, flags: 0 }),
      7,
    );
  };
  const pairs = Array.from({ length: 20 }, (_, at) => ({
    greedy: registered(daemon, 1_999_990_000 + at),
    modest: registered(daemon, 1_999_991_000 + at),
    disk: wanted(`${at}`),
    // What changes nothing costs least, and what changes something waits for the others of its turn.
    before: Array.from({ length: 30 }, (_, index) => at % 2 === 0 ? NOTHING : wanted(`${at}-${index}`)),
  }));
  // All is there before the daemon looks: it alone decides who is served when, and nobody's speed does.
  daemon.signal("SIGSTOP");
  await until("it to stand still", () => taskState(daemon.pid) === "T");
  for (const { greedy, before, disk } of pairs) {
    greedy.send(Uint8Array.from([...before, disk].flatMap((call) => [...call])));
  }
  for (const { modest, disk } of pairs) modest.send(disk);
  daemon.signal("SIGCONT");
  const { OK, ERROR } = MessageStatus;
  deepStrictEqual(pairs.map(({ modest }) => modest.receive().header.status), pairs.map(() => OK));
  for (const { greedy, before } of pairs) {
    const replies = [...before, "disk"].map(() => greedy.receive().header.status);
    deepStrictEqual(replies, [...before.map(() => OK), ERROR]);
  }
  for (const { greedy, modest } of pairs) [greedy, modest].forEach((client) => client.close());
  target.round();
});

Deno.test("Daemon stays small while hundreds of clients send requests and read no reply", async () => {
  await using target = await Target.start();
  // Each of these is answered by an error that repeats the name three times.
  const long = lockCall(LockProcedure.NEW, (writer) => {
    writer.string("x".repeat(8000));
    writer.u32(0);
  }, 1);
  const pushed = repeat(long, 40);
  const clients = Array.from({ length: 300 }, () => RawClient.connect(target.daemon.socket));
  for (let turn = 0; turn < 3; turn++) {
    for (const client of clients) client.offer(pushed);
    target.round();
  }
  target.grown(96);
  clients.forEach((client) => client.close());
  await target.recovered();
});

Deno.test("Daemon keeps little of messages that never come whole", async () => {
  await using target = await Target.start();
  // 600 MB, if all of it were kept. What no request needs is thrown away, and of the rest only so much is
  // kept of all clients together; then they are not read from, and what they send waits in the kernel.
  const beginning = giant(LockProcedure.NEW, new Uint8Array(1_500_000));
  const clients = Array.from({ length: 400 }, () => RawClient.connect(target.daemon.socket));
  const sent = clients.map(() => 0);
  for (let idle = 0; idle < 8;) {
    let taken = 0;
    clients.forEach((client, at) => {
      const offered = client.offer(beginning.subarray(sent[at]));
      sent[at] = (sent[at] ?? 0) + offered;
      taken += offered;
    });
    target.round();
    idle = taken === 0 ? idle + 1 : 0;
  }
  for (let count = 0; count < 200; count++) {
    const client = RawClient.connect(target.daemon.socket);
    clients.push(client);
    client.send(NOTHING.subarray(0, FRAME_MIN - 1));
  }
  target.round();
  target.grown(256);
  clients.forEach((client) => client.close());
  await target.recovered();
});

Deno.test("Daemon answers messages of 32 MiB, and throws away what no request needs", async () => {
  await using target = await Target.start();
  const { socket } = target.daemon;
  const clients = Array.from({ length: 4 }, () => RawClient.connect(socket));
  const rest = new Uint8Array(MEGABYTE);
  // A name over the limit: it does not decode.
  const begin = giant(LockProcedure.NEW, new Uint8Array([0, 255, 255, 255]));
  const left = clients.map((client) => {
    client.send(begin);
    return FRAME_MAX - begin.length;
  });
  while (left.some((bytes) => bytes > 0)) {
    clients.forEach((client, index) => {
      left[index] = (left[index] ?? 0) -
        client.offer(rest.subarray(0, Math.min(rest.length, left[index] ?? 0)));
    });
  }
  target.round();
  target.grown(64);
  for (const client of clients) {
    const { header, payload } = client.receive();
    deepStrictEqual([header.serial, header.status, payload[3]], [9, 1, ErrorCode.RPC]);
    client.roundTrip();
    client.close();
  }
  await target.recovered();
});

Deno.test("Daemon serves 100,000 requests that come at once, each with one reply in order, and others meanwhile", async () => {
  await using target = await Target.start();
  const client = RawClient.connect(target.daemon.socket);
  const [batch, total] = [500, 100_000];
  const bytes = repeat(NOTHING, batch);
  const view = new DataView(bytes.buffer);
  let [next, received] = [0, 0];
  const read = () => {
    const { header } = client.receive();
    deepStrictEqual([header.serial, header.status], [received, 0]);
    received++;
  };
  while (next < total) {
    for (let index = 0; index < batch; index++) view.setUint32(index * NOTHING.length + 20, next++);
    for (let at = 0; at < bytes.length;) {
      const taken = client.offer(bytes.subarray(at));
      at += taken;
      // The daemon waits for its replies to be read.
      if (taken === 0) read();
    }
    if (next % 10_000 === 0) target.round();
  }
  target.grown(64);
  while (received < total) read();
  client.close();
  await target.recovered();
});

Deno.test("Daemon takes and gives back 10,000 connections, whatever they leave half done", async () => {
  await using target = await Target.start();
  const { socket } = target.daemon;
  const half = NOTHING.subarray(0, 20);
  for (let index = 0; index < 10_000; index++) {
    const client = RawClient.connect(socket);
    if (index % 3 === 0) client.send(half);
    if (index % 3 === 1) client.offer(repeat(NOTHING, 3));
    client.close();
    if (index % 500 === 0) target.round();
  }
  target.grown(64);
  await target.recovered();
});

Deno.test("Daemon with all its clients connected serves them, and the others as soon as one leaves", async () => {
  await using target = await Target.start();
  const { socket } = target.daemon;
  // 1,024 are allowed, of which the bystander is one.
  const clients = Array.from({ length: 1_023 }, () => RawClient.connect(socket));
  clients.at(-1)?.roundTrip();
  const waiting = Array.from({ length: 1_000 }, () => RawClient.connect(socket));
  for (const client of waiting) client.send(NOTHING);
  target.round();
  ok(waiting.every((client) => client.quiet), "one was served that is over the limit");
  clients.forEach((client) => client.close());
  for (const client of waiting) {
    deepStrictEqual(client.receive().header.serial, 7);
    client.close();
  }
  target.grown(96);
  await target.recovered();
});

Deno.test("Daemon bears 20,000 shared acquisitions of one resource, and their release", async () => {
  await using target = await Target.start();
  const { daemon } = target;
  const path = daemon.place.makeDirectory("locks");
  const client = RawClient.connect(daemon.socket);
  client.request(LockProcedure.CREATE_LOCKSPACE, (writer) => writer.string(path));
  const owner = { uuid: new Uint8Array(16), pid: 1_999_999_998 };
  client.request(LockProcedure.REGISTER, (writer) => {
    writer.opaque(owner.uuid);
    writer.string("sharer");
    writer.u32(1);
    writer.u32(owner.pid);
    writer.u32(0);
  });
  const batch = 200;
  const call = (procedure: number, flags: number) =>
    repeat(lockCall(procedure, (writer) => encodeResource(writer, { path, name: "one", flags }), 3), batch);
  const all = (bytes: Uint8Array) => {
    for (let sent = 0; sent < 20_000; sent += batch) {
      client.send(bytes);
      for (let index = 0; index < batch; index++) deepStrictEqual(client.receive().header.status, 0);
    }
  };
  all(call(LockProcedure.ACQUIRE_RESOURCE, 3));
  target.round();
  target.grown(64);
  all(call(LockProcedure.RELEASE_RESOURCE, 0));
  client.close();
  await target.recovered();
});
