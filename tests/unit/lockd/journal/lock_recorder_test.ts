import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { DescriptorStore } from "../../../../src/lockd/store/descriptor_store.ts";
import type { StoreSocket } from "../../../../src/lockd/store/store_outbox.ts";
import { DurableLog } from "../../../../src/chassis/journal/durable_log.ts";
import { LockRecorder } from "../../../../src/lockd/journal/lock_recorder.ts";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import type { JournalState } from "../../../../src/lockd/journal/journal_state.ts";
import { LOG_START } from "../../../../src/chassis/journal/layout.ts";
import { createLog, readLog } from "../../../../src/lockd/journal/lock_format.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { SOCK_DGRAM, SOCK_STREAM } from "../../../../src/os/constants.ts";
import { ENOSPC } from "../../../../src/os/errno.ts";
import { Connection } from "../../../../src/chassis/rpc/connection.ts";
import { CountedExchange } from "../../../../src/chassis/rpc/counted_exchange.ts";
import { FrameCopies } from "../../../../src/chassis/rpc/frame_copies.ts";
import { InputBudget } from "../../../../src/chassis/rpc/input_budget.ts";
import { asProgram, type Peer, type Program, type Reply } from "../../../../src/chassis/rpc/program.ts";
import { encodeFrame, MessageType } from "../../../../src/chassis/wire/frame.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";
import { holding } from "./journal_fixture.ts";
import { KeptLog } from "./kept_log.ts";
import { fileHandle, fileOf } from "../../../support/file_handle.ts";

const PROGRAM = 0x1234;
const Procedure = { NOTHING: 1, GRANT: 2, LATER: 3 } as const;
const PEER: Peer = { clientId: 1, pid: 7, uid: 0, gid: 0, connectedAt: 5, security: "", pidfd: -1 };
/** Bytes of a large message. */
const LARGE = 131_000;
const SNAPSHOT: Operation = { op: "snapshot", turn: 0, reply: 0, nextResource: 1, nextClient: [1, 1] };

/**
 * A journal with a program and a client in front of it, and a service manager of the test's choice behind.
 */
class Stage implements Disposable {
  readonly loop = new EventLoop(kernel);
  readonly journal: LockRecorder;
  readonly log = new KeptLog();
  /** What happened, in order. */
  readonly events: string[] = [];
  readonly memory: SharedMemory;
  /** Replies of {@link Procedure.LATER}. */
  readonly waiting: Reply[] = [];
  readonly timers: (() => void)[] = [];
  /** How often the store said that something was dropped. */
  drops = 0;
  room = Infinity;
  full = false;
  readonly #parts: ConstructorParameters<typeof Connection>[0];
  readonly #fds: number[] = [];
  readonly #connections: Connection[] = [];
  #nextId = 1;

  constructor() {
    const sys = {
      ...kernel,
      pwrite: (fd: number, bytes: Uint8Array, at: number) =>
        this.full ? -ENOSPC : kernel.pwrite(fd, bytes, at),
    };
    this.memory = new SharedMemory(sys, this.#own(kernel.memfd("journal")));
    const [notify] = this.#pair(SOCK_DGRAM);
    const socket: StoreSocket = {
      fd: notify,
      send: (lines) => {
        if (this.room-- <= 0) return "full";
        this.events.push(`${lines.join(" ")}; recorded ${this.state.locks.size}`);
        return "sent";
      },
    };
    const log = new DurableLog({
      memory: this.memory,
      log: createLog(this.memory),
      store: new DescriptorStore({
        socket,
        loop: this.loop,
        sys: kernel,
        ledger: new DescriptorLedger(kernel),
        log: this.log,
        limit: 2000,
        stored: [],
        dropped: () => void this.drops++,
      }),
      loop: {
        defer: (task) => this.loop.defer(task),
        after: (_milliseconds, task) => {
          this.timers.push(task);
          return { due: 0, cancel: () => {} };
        },
        more: false,
      },
      logger: this.log,
    });
    this.journal = new LockRecorder({
      log,
      slots: [],
      markOf: ({ pid }) => ({ pid, start: pid + 1000 }),
    });
    const { memory, offset } = log.exchangeMemory;
    const exchange = new CountedExchange(kernel, memory, offset);
    this.#parts = {
      loop: this.loop,
      exchange,
      programs: [this.#program()],
      observer: { served: () => {} },
      durability: log,
      budget: new InputBudget(),
      copies: new FrameCopies(),
      keyOf: (id) => id * 2,
      clock: () => 0,
      ended: () => {},
      crashed: (_connection, error) => {
        throw error;
      },
    };
    this.journal.begin({ exchange, snapshot: () => this.#snapshot() }, [], []);
  }

  /** What the next daemon would read. */
  get state(): JournalState {
    const read = readLog(new SharedMemory(kernel, this.memory.fd));
    if (typeof read === "string") throw new Error(read);
    return read.state;
  }

  /** A connected client: its connection, and the client's end. */
  connect(clientId: number): { connection: Connection; fd: number } {
    const [fd, peer] = this.#pair(SOCK_STREAM);
    const connection = new Connection(this.#parts, fd, { ...PEER, clientId });
    this.#connections.push(connection);
    connection.start();
    return { connection, fd: peer };
  }

  /** Sends a call and runs the loop once. */
  call(fd: number, procedure: number): void {
    const header = { program: PROGRAM, version: 1, procedure, type: MessageType.CALL, serial: 9, status: 0 };
    kernel.send(fd, encodeFrame(header, new Uint8Array(0)));
    this.loop.turn(1000);
  }

  [Symbol.dispose](): void {
    this.loop.close();
    for (const fd of this.#fds) kernel.close(fd);
  }

  #program(): Program {
    const grant = () => this.journal.observer.granted(this.resource(), holding(7));
    const table = new Map([
      [Procedure.NOTHING, (reply: Reply) => reply.ok()],
      [Procedure.GRANT, (reply: Reply) => {
        grant();
        reply.ok();
      }],
      [Procedure.LATER, (reply: Reply) => void this.waiting.push(reply)],
    ]);
    return asProgram<null>({
      name: "test",
      number: PROGRAM,
      version: 1,
      maxPayload: LARGE,
      procedures: new Map([...table].map(([number, run]) => [
        number,
        { name: `p${number}`, run: (_session, _args, reply) => run(reply) },
      ])),
      connect: () => null,
      disconnect: () => {},
    });
  }

  resource(): Resource {
    const id = this.#nextId++;
    return {
      id,
      lockspace: "",
      name: `/disk${id}`,
      path: `/disk${id}`,
      handle: fileHandle(1000 + id),
      shared: false,
      autocreate: false,
      holdings: [holding(7)],
      state: { kind: "held" },
    };
  }

  *#snapshot(): Generator<Operation> {
    yield SNAPSHOT;
    for (const { key, unsettled } of this.#connections) {
      if (unsettled.bytes.length > 0) yield { op: "input", key, ...unsettled, turn: 0 };
    }
  }

  #pair(type: number): [number, number] {
    const pair = kernel.socketPair(type);
    if (typeof pair === "number") throw new Error(`socketpair: errno ${-pair}`);
    return [this.#own(pair[0]), this.#own(pair[1])];
  }

  #own(fd: number): number {
    this.#fds.push(fd);
    return fd;
  }
}

function replied(fd: number): boolean {
  return kernel.pollReadable(fd, 0) === 1;
}

Deno.test("LockRecorder leaves no record of a request that changes nothing", () => {
  using stage = new Stage();
  const { fd } = stage.connect(1);
  const { bytes } = stage.journal.log.status;
  stage.call(fd, Procedure.NOTHING);
  assert.ok(replied(fd));
  assert.equal(stage.journal.log.status.bytes, bytes);
});

Deno.test("LockRecorder stores a lock's descriptor, then records the lock with the reply, then lets the reply go", () => {
  using stage = new Stage();
  const { fd } = stage.connect(1);
  stage.call(fd, Procedure.GRANT);
  assert.deepEqual(stage.events, ["FDSTORE=1 FDNAME=A FDPOLL=0; recorded 0"]);
  const { locks, bytes: { reply, consumed } } = stage.state;
  assert.deepEqual(
    [...locks.values()].map(({ record: { path, holdings }, slot }) => [path, slot, holdings[0]?.owner.start]),
    [
      ["/disk1", 0, 1007],
    ],
  );
  assert.deepEqual([reply?.key, reply?.number, reply?.bytes.length], [2, 1, 28]);
  assert.deepEqual(consumed, { turn: 1, end: 28 });
  assert.ok(replied(fd));
});

Deno.test("LockRecorder holds a reply back until the store has the lock, and serves others meanwhile", () => {
  using stage = new Stage();
  const one = stage.connect(1);
  const other = stage.connect(2);
  stage.room = 0;
  stage.call(one.fd, Procedure.GRANT);
  assert.ok(!replied(one.fd));
  assert.equal(stage.state.locks.size, 0);
  // The request is kept, in case that the daemon is killed now.
  assert.equal(stage.state.bytes.inputs.get(2)?.bytes.length, 28);
  stage.call(other.fd, Procedure.NOTHING);
  assert.ok(replied(other.fd));
  stage.room = 9;
  stage.loop.turn(1000);
  assert.ok(replied(one.fd));
  assert.deepEqual([stage.state.locks.size, stage.state.bytes.inputs.size], [1, 0]);
});

Deno.test("LockRecorder keeps a request that is worked on until it is answered, and records even an empty answer", () => {
  using stage = new Stage();
  const { fd } = stage.connect(1);
  stage.call(fd, Procedure.LATER);
  assert.equal(stage.state.bytes.inputs.get(2)?.bytes.length, 28);
  stage.waiting[0]?.ok();
  assert.deepEqual([stage.state.bytes.inputs.size, stage.state.bytes.reply?.key], [0, 2]);
  assert.ok(replied(fd));
});

Deno.test("LockRecorder records what is not part of a request at the end of the turn", () => {
  using stage = new Stage();
  const resource = stage.resource();
  stage.journal.observer.granted(resource, holding(7));
  assert.equal(stage.state.locks.size, 0);
  stage.loop.turn(0);
  assert.equal(stage.state.locks.size, 1);
  stage.journal.observer.released(resource, holding(7).owner, true);
  stage.loop.turn(0);
  assert.equal(stage.state.locks.size, 0);
  stage.loop.turn(0);
  assert.deepEqual(stage.events.at(-1), "FDSTOREREMOVE=1 FDNAME=A; recorded 0");
});

Deno.test("LockRecorder forgetRemoved() tells the store at once, and not again at the end of the batch", () => {
  using stage = new Stage();
  const resource = stage.resource();
  stage.journal.observer.granted(resource, holding(7));
  stage.loop.turn(0);
  stage.journal.observer.released(resource, holding(7).owner, true);
  stage.journal.log.flush();
  stage.journal.log.forgetRemoved();
  const told = ["FDSTORE=1 FDNAME=A FDPOLL=0; recorded 0", "FDSTOREREMOVE=1 FDNAME=A; recorded 0"];
  assert.deepEqual(stage.events, told);
  stage.loop.turn(0);
  assert.deepEqual(stage.events, told);
});

Deno.test("LockRecorder does not store a lock that is released before that", () => {
  using stage = new Stage();
  const resource = stage.resource();
  stage.journal.observer.granted(resource, holding(7));
  stage.journal.observer.released(resource, holding(7).owner, true);
  stage.loop.turn(0);
  assert.deepEqual(stage.events, []);
  assert.equal(stage.state.locks.size, 0);
});

Deno.test("LockRecorder has a lost lock's descriptor forgotten, and that by which it is regained stored", () => {
  using stage = new Stage();
  const resource = stage.resource();
  stage.journal.observer.granted(resource, holding(7));
  stage.loop.turn(0);
  resource.state = { kind: "lost", reason: "why" };
  stage.journal.observer.lost(resource, "is lost");
  stage.loop.turn(0);
  assert.deepEqual([...stage.state.locks.values()].map(({ slot }) => slot), [undefined]);
  stage.loop.turn(0);
  resource.handle = fileHandle(2000);
  resource.state = { kind: "held" };
  stage.journal.observer.regained(resource);
  stage.loop.turn(0);
  assert.deepEqual([...stage.state.locks.values()].map(({ slot }) => slot), [0]);
  assert.deepEqual(stage.events, [
    "FDSTORE=1 FDNAME=A FDPOLL=0; recorded 0",
    "FDSTOREREMOVE=1 FDNAME=A; recorded 1",
    "FDSTORE=1 FDNAME=A FDPOLL=0; recorded 1",
  ]);
});

Deno.test("LockRecorder keeps the holder that is gone until all that it had is released", () => {
  using stage = new Stage();
  stage.journal.observer.gone({ key: 7, pid: 7 }, [], true);
  stage.loop.turn(0);
  assert.deepEqual([...stage.state.dying.keys()], [7]);
  stage.journal.observer.settled({ key: 7, pid: 7 });
  stage.loop.turn(0);
  assert.deepEqual([...stage.state.dying.keys()], []);
});

Deno.test("LockRecorder.leave() forgets everything, and stay() brings it back", () => {
  using stage = new Stage();
  const resource = stage.resource();
  stage.journal.observer.granted(resource, holding(7));
  stage.loop.turn(0);
  let left = false;
  stage.journal.log.leave(() => left = true);
  stage.loop.turn(0);
  assert.equal(left, true);
  assert.equal(stage.state.locks.size, 0);
  stage.journal.observer.granted(stage.resource(), holding(7));
  stage.loop.turn(0);
  assert.equal(stage.state.locks.size, 0);
  stage.events.splice(0);
  stage.journal.stay([{ kind: "lock", id: resource.id, fd: fileOf(resource).fd }], []);
  assert.deepEqual(stage.events, ["FDSTORE=1 FDNAME=A FDPOLL=0; recorded 0"]);
});

Deno.test("LockRecorder without memory says so once, lets replies go, and tries again", () => {
  using stage = new Stage();
  const { fd } = stage.connect(1);
  stage.full = true;
  for (let count = 0; count < 1900 && stage.journal.log.status.failed === undefined; count++) {
    stage.journal.observer.granted(stage.resource(), holding(7));
    stage.loop.turn(0);
  }
  stage.call(fd, Procedure.GRANT);
  assert.ok(replied(fd));
  assert.deepEqual(stage.log.lines.filter((line) => line.startsWith("error")), [
    "error: The journal cannot be written, a crash would lose what happens now: " +
    "pwrite journal: No space left on device (ENOSPC)",
  ]);
  assert.match(stage.journal.log.status.failed ?? "", /ENOSPC/);
  stage.full = false;
  stage.timers.shift()?.();
  assert.equal(stage.journal.log.status.failed, undefined);
  assert.equal(stage.log.lines.at(-1), "warning: The journal works again");
});

/** The first bytes of a call with a payload of {@link LARGE} bytes, all but the last one. */
function halfMessage(): Uint8Array {
  const header = { program: PROGRAM, version: 1, procedure: 1, type: MessageType.CALL, serial: 9, status: 0 };
  return encodeFrame(header, new Uint8Array(LARGE)).subarray(0, -1);
}

Deno.test("LockRecorder has the bytes of unfinished messages once, however many clients send them in however small pieces", () => {
  using stage = new Stage();
  const fds = Array.from({ length: 40 }, (_, index) => stage.connect(1 + index).fd);
  const message = halfMessage();
  const piece = 2000;
  let largest = 0;
  for (let at = 0; at < message.length; at += piece) {
    for (const fd of fds) kernel.send(fd, message.subarray(at, at + piece));
    for (let turn = 0; turn < 4; turn++) stage.loop.turn(0);
    largest = Math.max(largest, stage.memory.size - LOG_START);
  }
  const received = fds.length * message.length;
  assert.equal(
    [...stage.state.bytes.inputs.values()].reduce((sum, { bytes }) => sum + bytes.length, 0),
    received,
  );
  assert.ok(largest < 1.25 * received + 1024 * 1024, `${largest} bytes for ${received}`);
});

Deno.test("LockRecorder gives the memory of messages back once they have been served", () => {
  using stage = new Stage();
  const fds = Array.from({ length: 40 }, (_, index) => stage.connect(1 + index).fd);
  const message = halfMessage();
  for (let round = 0; round < 2; round++) {
    let largest = 0;
    for (const fd of fds) kernel.send(fd, message);
    for (let turn = 0; turn < 8; turn++) {
      stage.loop.turn(0);
      largest = Math.max(largest, stage.memory.size - LOG_START);
    }
    for (const fd of fds) kernel.send(fd, new Uint8Array(1));
    for (let turn = 0; turn < 8; turn++) stage.loop.turn(0);
    assert.ok(fds.every(replied));
    const received = fds.length * message.length;
    assert.ok(largest < 2.25 * received + 1024 * 1024, `${largest} bytes for ${received}`);
    assert.ok(stage.memory.size - LOG_START < 2 * 1024 * 1024, `${stage.memory.size} bytes are left`);
  }
});

Deno.test("LockRecorder that is too long is written anew once the store has caught up, also when nothing happens then", () => {
  using stage = new Stage();
  const resource = stage.resource();
  stage.journal.observer.granted(resource, holding(7));
  stage.loop.turn(0);
  stage.room = 0;
  for (let count = 0; count < 12; count++) stage.journal.observer.lockspaceCreated("x".repeat(100_000));
  stage.journal.observer.released(resource, holding(7).owner, true);
  stage.loop.turn(0);
  assert.ok(stage.journal.log.status.bytes > 1_200_000);
  stage.room = 9;
  stage.loop.turn(0);
  stage.loop.turn(0);
  assert.ok(stage.journal.log.status.bytes < 1000, `${stage.journal.log.status.bytes} bytes`);
});
