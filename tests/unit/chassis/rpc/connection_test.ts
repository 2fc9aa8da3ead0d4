import assert from "node:assert/strict";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../../../src/chassis/rpc/plain_exchange.ts";
import { ALWAYS_KEPT } from "../../../../src/chassis/rpc/input_budget.ts";
import { encodeFrame, MessageType } from "../../../../src/chassis/wire/frame.ts";
import { encodePing, isPong } from "../../../support/keepalive_codec.ts";
import { ErrorDomain, invalidArg } from "../../../../src/chassis/wire/rpc_error.ts";
import { kernel } from "../../../support/kernel.ts";
import {
  BIG,
  both,
  call,
  failure,
  LIMIT,
  mapped,
  Procedure,
  PROGRAM,
  Stage,
  VOLATILE,
} from "./connection_fixture.ts";

both("serves two calls that are cut at any byte", (started) => {
  const stream = new Uint8Array([...call(Procedure.ECHO, 1), ...call(Procedure.ECHO, 2)]);
  for (let at = 1; at < stream.length; at++) {
    using stage = started();
    stage.send(stream.subarray(0, at));
    stage.send(stream.subarray(at));
    const frames = stage.received();
    assert.deepEqual(frames.map(({ header }) => header.serial), [1, 2], `cut at ${at}`);
    assert.deepEqual(frames.map(({ payload }) => payload.toHex()), ["00000001", "00000002"]);
  }
});

both("serves one call in a turn of a client that sends several at once", (started) => {
  using stage = started();
  const calls = Array.from({ length: 12 }, (_, index) => call(Procedure.ECHO, index + 1));
  assert.equal(kernel.send(stage.far, Uint8Array.from(calls.flatMap((each) => [...each]))), 12 * 32);
  const served: number[] = [];
  while (stage.loop.turn(0) > 0) {
    served.push(stage.events().filter((event) => event.startsWith("echo")).length);
  }
  // The first time nothing is known of the client yet.
  assert.deepEqual(served, [5, 1, 1, 1, 1, 1, 1, 1]);
  assert.equal(stage.serials().length, 12);
});

both("serves one call in a turn of those that came behind a slow one", (started) => {
  using stage = started();
  const calls = Array.from({ length: 20 }, (_, index) => call(Procedure.ECHO, index + 2));
  stage.send(call(Procedure.LATER, 1), ...calls);
  assert.deepEqual(stage.events(), ["later 1"]);
  stage.replies.shift()?.ok();
  const served: number[] = [];
  for (let turn = 0; turn < 25; turn++) {
    served.push(stage.events().filter((event) => event.startsWith("echo")).length);
    // What is not served yet is not lost by a hand-over, and an end of the daemon waits for it.
    const { length } = stage.connection.unserved.bytes;
    assert.deepEqual([length, stage.connection.running], [Math.max(0, 19 - turn) * 32, turn < 19]);
    stage.loop.turn(0);
  }
  // The first in the turn in which the slow one is answered.
  assert.deepEqual(served, [...Array(20).fill(1), ...Array(5).fill(0)]);
  assert.deepEqual(stage.serials(), Array.from({ length: 21 }, (_, index) => index + 1));
  stage.send(call(Procedure.ECHO, 22));
  assert.deepEqual(stage.serials(), [22]);
});

/** An exchange over which a client says, when it is told to, that it has nothing more to send. */
class EndingExchange extends PlainExchange {
  ended = false;

  override receive(fd: number, limit: number): number {
    return this.ended ? 0 : super.receive(fd, limit);
  }
}

Deno.test("Connection ends after the calls that came behind a slow one, where its client sends nothing more", () => {
  const exchange = new EndingExchange(kernel, mapped(PLAIN_EXCHANGE_SIZE));
  using stage = new Stage(exchange);
  stage.connection.start();
  stage.send(
    call(Procedure.LATER, 1),
    call(Procedure.ECHO, 2),
    call(Procedure.ECHO, 3),
    call(Procedure.ECHO, 4),
  );
  exchange.ended = true;
  stage.send(new Uint8Array(1));
  assert.equal(stage.connection.closed, false);
  stage.replies.shift()?.ok();
  stage.turn();
  assert.deepEqual(stage.events().filter((event) => /^echo|ended/.test(event)), [
    "echo 2",
    "echo 3",
    "echo 4",
    "ended: end of stream",
  ]);
});

both("ends at a length that no message has, behind a slow call and another one", (started) => {
  using stage = started();
  stage.send(call(Procedure.LATER, 1), call(Procedure.ECHO, 2), new Uint8Array([0, 0, 0, 3]));
  stage.replies.shift()?.ok();
  stage.turn();
  assert.deepEqual(stage.events().slice(-2), ["disconnected", "ended: malformed message length"]);
});

both("end() between two calls that came behind a slow one is final", (started) => {
  using stage = started();
  stage.send(call(Procedure.LATER, 1), call(Procedure.ECHO, 2), call(Procedure.ECHO, 3));
  stage.replies.shift()?.ok();
  stage.connection.end("administrator");
  stage.turn();
  assert.equal(stage.events().includes("echo 3"), false);
  assert.equal(stage.connection.running, false);
});

both("reads a longer call at once again when its client has stopped to send several", (started) => {
  using stage = started();
  stage.send(call(Procedure.ECHO, 1), call(Procedure.ECHO, 2), call(Procedure.ECHO, 3));
  stage.events();
  const header = { program: PROGRAM, version: 1, procedure: 1, type: MessageType.CALL, serial: 4, status: 0 };
  const long = encodeFrame(header, new Uint8Array(100));
  const turns = () => {
    assert.equal(kernel.send(stage.far, long), long.length);
    let count = 0;
    while (stage.loop.turn(0) > 0) count++;
    return count;
  };
  // What was read for short ones, then the rest; from then on all of it.
  assert.deepEqual([turns(), turns(), turns()], [2, 1, 1]);
});

both("tells what it served", (started) => {
  using stage = started();
  stage.send(call(Procedure.ECHO, 1), call(Procedure.REFUSE, 2), call(99, 3));
  assert.deepEqual(stage.events(), [
    "echo 1",
    "served test Echo 0",
    "served test Refuse 8",
    "served test unknown 39",
  ]);
});

both("answers refusals and defects and stays usable", (started) => {
  using stage = started();
  stage.send(call(Procedure.REFUSE, 1));
  assert.equal(failure(stage), "8/7 invalid argument: no");
  stage.send(call(Procedure.CRASH, 2));
  assert.equal(failure(stage), "39/7 The request failed unexpectedly; see the daemon's log");
  assert.ok(stage.events().includes("crashed: TypeError: a defect"));
  stage.send(
    encodeFrame(
      { program: PROGRAM, version: 1, procedure: 1, type: 0, serial: 3, status: 0 },
      new Uint8Array(3),
    ),
  );
  assert.equal(failure(stage), "39/7 Unable to decode message payload");
  stage.send(call(Procedure.ECHO, 4));
  assert.deepEqual(stage.serials(), [4]);
});

both("reports a procedure that answers twice, and sends one reply", (started) => {
  using stage = started();
  stage.send(call(Procedure.TWICE, 1));
  assert.deepEqual(stage.serials(), [1]);
  assert.ok(stage.events().includes("crashed: Error: Reply to procedure 7: it was answered before"));
});

both("dispatches no request before the one before it is answered", (started) => {
  using stage = started();
  stage.send(
    call(Procedure.LATER, 1),
    call(Procedure.ECHO, 2),
    call(Procedure.LATER, 3),
    call(Procedure.ECHO, 4),
  );
  assert.deepEqual(stage.events(), ["later 1"]);
  assert.ok(stage.connection.busy && stage.connection.running);
  stage.replies.shift()?.ok();
  stage.turn();
  assert.deepEqual(stage.serials(), [1, 2]);
  stage.replies.shift()?.fail(invalidArg(ErrorDomain.RPC, "later"));
  stage.turn();
  assert.deepEqual(stage.serials(), [3, 4]);
  assert.ok(!stage.connection.busy);
});

both("answers a PING behind a request in service, wherever the stream is cut", (started) => {
  const behind = new Uint8Array([...call(Procedure.ECHO, 2), ...encodePing(), ...call(Procedure.ECHO, 3)]);
  for (let at = 0; at <= behind.length; at++) {
    using stage = started();
    stage.send(call(Procedure.LATER, 1));
    stage.send(behind.subarray(0, at));
    stage.send(behind.subarray(at));
    const [pong = assert.fail(`no PONG, cut at ${at}`)] = stage.received();
    assert.ok(isPong(pong.header));
    stage.replies.shift()?.ok();
    stage.turn();
    assert.deepEqual(stage.serials(), [1, 2, 3]);
  }
});

both("ends at the end of the stream, but serves what came before", (started) => {
  using stage = started();
  stage.send(call(Procedure.LATER, 1), call(Procedure.ECHO, 2), call(Procedure.ECHO, 3).subarray(0, 9));
  // A client that has gone cannot be answered; it ends at the first try.
  stage.hangUp();
  assert.deepEqual(stage.events(), ["later 1"]);
  stage.replies.shift()?.ok();
  stage.turn();
  const events = stage.events();
  assert.equal(events.at(-2), "disconnected");
  assert.equal(events.at(-1), "ended: send failed: Broken pipe");
  assert.ok(stage.connection.closed);
});

both("ends at a length that no message has, after what came before", (started) => {
  using stage = started();
  stage.send(call(Procedure.ECHO, 1), new Uint8Array([0, 0, 0, 3]), call(Procedure.ECHO, 2));
  assert.deepEqual(stage.serials(), [1]);
  assert.deepEqual(stage.events().slice(-2), ["disconnected", "ended: malformed message length"]);
});

both("ends once its last reply is written when the program says so", (started) => {
  using stage = started();
  stage.send(call(Procedure.CLOSE, 1), call(Procedure.ECHO, 2));
  assert.deepEqual(stage.serials(), [1]);
  assert.deepEqual(stage.events(), ["served test Close 0", "disconnected", "ended: closed on request"]);
});

both("end() is final: a late reply goes nowhere", (started) => {
  using stage = started();
  stage.send(call(Procedure.LATER, 1), call(Procedure.ECHO, 2));
  stage.connection.end("administrator");
  stage.connection.end("again");
  stage.replies.shift()?.ok();
  stage.turn();
  assert.deepEqual(stage.events(), ["later 1", "disconnected", "ended: administrator"]);
  assert.deepEqual(stage.received(), []);
});

both("reads nothing while the client does not read its reply", (started) => {
  using stage = started();
  stage.send(call(Procedure.BIG, 1), call(Procedure.ECHO, 2));
  assert.ok(stage.connection.busy && !stage.connection.running);
  assert.ok(stage.connection.unsent.length > 100_000);
  stage.send(call(Procedure.ECHO, 3));
  assert.deepEqual(stage.events(), ["served test Big 0"]);
  const [big, ...rest] = stage.received();
  assert.equal(big?.payload.length, BIG);
  assert.ok(big?.payload.every((byte) => byte === 0x5a));
  assert.deepEqual(rest.map(({ header }) => header.serial), [2, 3]);
  assert.equal(stage.connection.unsent.length, 0);
});

both("keeps at most 4 KiB and a little behind a request in service", (started) => {
  using stage = started();
  stage.send(call(Procedure.LATER, 1));
  const many = new Uint8Array(32 * 2000);
  for (let index = 0; index < 2000; index++) many.set(call(Procedure.ECHO, 2), index * 32);
  for (let round = 0; round < 10; round++) {
    kernel.send(stage.far, many);
    stage.turn();
  }
  const { bytes } = stage.connection.unserved;
  assert.ok(bytes.length >= 4096 && bytes.length < 4096 + 160, `${bytes.length}`);
  stage.replies.shift()?.ok();
  stage.turn();
  assert.ok(stage.serials().length > 2000);
});

both("drops what no procedure needs of a long message, and answers it", (started) => {
  using stage = started();
  const long = new Uint8Array(50_000);
  long.set(call(Procedure.ECHO, 1));
  new DataView(long.buffer).setUint32(0, long.length);
  for (let at = 0; at < long.length - 1; at += 10_000) {
    stage.send(long.subarray(at, Math.min(at + 10_000, long.length - 1)));
  }
  const { bytes, dropped } = stage.connection.unserved;
  assert.ok(bytes.length < 1000, `${bytes.length}`);
  assert.equal(bytes.length + dropped, long.length - 1);
  stage.send(new Uint8Array([...long.subarray(-1), ...call(Procedure.ECHO, 2)]));
  assert.deepEqual(stage.serials(), [1, 2]);
});

/** Hands everything that a connection has over to another one, as a re-exec does. */
function handOver(stage: Stage): void {
  const { unserved, unsent } = stage.connection;
  const saved = { unserved: { ...unserved, bytes: unserved.bytes.slice() }, unsent: unsent.slice() };
  stage.loop.remove(stage.near);
  stage.connection = stage.connect();
  stage.connection.restore(saved.unserved, saved.unsent);
  stage.connection.start();
  stage.turn();
}

both("restore() goes on at any byte of a message", (started) => {
  const stream = new Uint8Array([...call(Procedure.ECHO, 1), ...call(Procedure.ECHO, 2)]);
  for (let at = 0; at <= stream.length; at++) {
    using stage = started();
    stage.send(stream.subarray(0, at));
    handOver(stage);
    stage.send(stream.subarray(at));
    assert.deepEqual(stage.serials(), [1, 2], `cut at ${at}`);
  }
});

both("restore() runs a request again that was not answered, and those behind it", (started) => {
  using stage = started();
  stage.send(call(Procedure.LATER, 1), call(Procedure.ECHO, 2));
  handOver(stage);
  assert.deepEqual(stage.events(), ["later 1", "later 1"]);
  stage.replies.at(-1)?.ok();
  stage.turn();
  assert.deepEqual(stage.serials(), [1, 2]);
});

both("restore() sends the rest of a reply before anything else", (started) => {
  using stage = started();
  stage.send(call(Procedure.BIG, 1), call(Procedure.ECHO, 2));
  handOver(stage);
  const [big, echo] = stage.received();
  assert.equal(big?.payload.length, BIG);
  assert.equal(echo?.header.serial, 2);
});

both("restore() goes on with a long message of which little was kept", (started) => {
  using stage = started();
  const long = new Uint8Array(30_000);
  long.set(call(Procedure.ECHO, 1));
  new DataView(long.buffer).setUint32(0, long.length);
  stage.send(long.subarray(0, 20_000));
  handOver(stage);
  stage.send(long.subarray(20_000));
  assert.deepEqual(stage.serials(), [1]);
});

both("sends a reply only when what was done is durable", (started) => {
  const resumes: ((settled: "volatile") => void)[] = [];
  using stage = started({
    ...VOLATILE,
    settle: (_request, resume) => {
      resumes.push(resume);
      return "later";
    },
  });
  stage.send(call(Procedure.ECHO, 1), call(Procedure.ECHO, 2));
  assert.deepEqual(stage.received(), []);
  assert.ok(stage.connection.running);
  // What is handed over then is the reply, not the request.
  assert.equal(stage.connection.unserved.bytes.toHex(), call(Procedure.ECHO, 2).toHex());
  assert.equal(stage.connection.unsent.length, 32);
  resumes.shift()?.("volatile");
  stage.turn();
  assert.deepEqual(stage.serials(), [1]);
  resumes.shift()?.("volatile");
  stage.turn();
  assert.deepEqual(stage.serials(), [2]);
});

both("ends when the socket fails", (started) => {
  using stage = started();
  stage.send(call(Procedure.BIG, 1));
  stage.hangUp();
  assert.match(stage.events().at(-1) ?? "", /^ended: send failed: Broken pipe$/);
});

/** A call of 40,000 bytes. */
function longCall(): Uint8Array {
  const header = { program: 8, version: 1, procedure: 1, type: MessageType.CALL, serial: 5, status: 0 };
  return encodeFrame(header, new Uint8Array(40_000 - 28));
}

const OTHER = { roomForInput() {} };

both("that has sent much of a message is read on only when there is room for it", (started) => {
  using stage = started();
  stage.budget.grant(OTHER, ALWAYS_KEPT + LIMIT);
  stage.send(longCall().subarray(0, 39_999));
  stage.send(longCall().subarray(39_999));
  assert.deepEqual(stage.serials(), []);
  // One receive more than what every client may have.
  assert.equal(stage.connection.unserved.bytes.length, 160 + ALWAYS_KEPT);
  stage.budget.grant(OTHER, 0);
  for (let turn = 0; turn < 3; turn++) stage.turn();
  assert.deepEqual(stage.serials(), [5]);
  assert.ok(stage.budget.grant(OTHER, ALWAYS_KEPT + LIMIT - 1));
});

both("that there is no room for is served what it sent before it hung up, and ends", (started) => {
  using stage = started();
  stage.budget.grant(OTHER, ALWAYS_KEPT + LIMIT);
  stage.send(longCall().subarray(0, 39_999));
  stage.send(longCall().subarray(39_999));
  assert.deepEqual(stage.events(), []);
  stage.hangUp();
  const ended = "ended: send failed: Broken pipe";
  assert.deepEqual(stage.events(), ["served large unknown 39", "disconnected", ended]);
});

both("with short requests is served however little room there is", (started) => {
  using stage = started();
  stage.budget.grant(OTHER, ALWAYS_KEPT + LIMIT);
  stage.send(call(Procedure.ECHO, 1).subarray(0, 30));
  stage.send(call(Procedure.ECHO, 1).subarray(30));
  assert.deepEqual(stage.serials(), [1]);
});
