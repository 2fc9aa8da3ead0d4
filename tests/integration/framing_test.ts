import assert from "node:assert/strict";
import { FRAME_MAX } from "../../src/chassis/wire/frame.ts";
import { Daemon } from "../support/daemon.ts";
import { kernel } from "../support/kernel.ts";
import { openDescriptors, ownKiB } from "../support/process_usage.ts";
import { until } from "../support/until.ts";
import { RawClient } from "../support/raw_client.ts";

/** CREATE_LOCKSPACE of the default lockspace, which exists: a call that changes nothing. */
const CALL = bytes("00000020 0ea7beef 00000001 00000008 00000000 00000007 00000000 00000000");
const REPLY = "0000001c 0ea7beef 00000001 00000008 00000001 00000007 00000000";
const PING = bytes("0000001c 6b656570 00000001 00000001 00000002 00000000 00000000");
const PONG = "0000001c 6b656570 00000001 00000002 00000002 00000000 00000000";

function bytes(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.fromHex(hex.replaceAll(" ", ""));
}

function join(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(parts.flatMap((part) => [...part]));
}

/** A message as hexadecimal words, without the bytes of an error. */
function words(client: RawClient): string {
  const { header, payload } = client.receive();
  const { program, version, procedure, type, serial, status } = header;
  const fields = [28 + payload.length, program, version, procedure, type, serial, status];
  return fields.map((field) => (field >>> 0).toString(16).padStart(8, "0")).join(" ");
}

/** What a daemon answers to a message, as `code/domain text`; the connection must stay usable. */
function refusal(daemon: Daemon, message: Uint8Array): string {
  using client = RawClient.connect(daemon.socket);
  client.send(message);
  const { header, payload } = client.receive();
  const view = new DataView(payload.buffer, payload.byteOffset);
  const length = view.getUint32(12);
  const text = new TextDecoder().decode(payload.subarray(16, 16 + length));
  client.send(CALL);
  assert.equal(words(client), REPLY);
  return `${header.status} ${view.getInt32(0)}/${view.getInt32(4)} ${text}`;
}

Deno.test("the server answers a call that is cut at any byte", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  for (let at = 1; at < CALL.length; at++) {
    using client = RawClient.connect(daemon.socket);
    client.send(CALL.subarray(0, at));
    other.roundTrip();
    other.roundTrip();
    assert.ok(client.quiet, `answered after ${at} bytes`);
    client.send(CALL.subarray(at));
    assert.equal(words(client), REPLY);
  }
});

Deno.test("the server answers calls that come byte by byte", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  using client = RawClient.connect(daemon.socket);
  for (const byte of join(CALL, PING, CALL)) {
    client.send(new Uint8Array([byte]));
    other.roundTrip();
  }
  assert.equal(words(client), REPLY);
  assert.equal(words(client), PONG);
  assert.equal(words(client), REPLY);
  assert.ok(client.quiet);
});

Deno.test("the server answers pipelined calls in their order, wherever the stream is cut", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  const calls = [1, 2, 3].map((serial) => {
    const call = CALL.slice();
    call[23] = serial;
    return call;
  });
  const stream = join(...calls);
  for (let at = 1; at < stream.length; at++) {
    using client = RawClient.connect(daemon.socket);
    client.send(stream.subarray(0, at));
    other.roundTrip();
    client.send(stream.subarray(at));
    assert.deepEqual([1, 2, 3].map(() => client.receive().header.serial), [1, 2, 3]);
  }
});

Deno.test("the server answers every one of 100,000 pipelined calls", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  const many = new Uint8Array(CALL.length * 1000);
  for (let index = 0; index < 1000; index++) many.set(CALL, index * CALL.length);
  let received = 0;
  for (let round = 0; round < 100; round++) {
    for (let sent = 0; sent < many.length;) {
      sent += client.offer(many.subarray(sent));
      while (!client.quiet) {
        client.receive();
        received++;
      }
    }
  }
  while (received < 100_000) {
    client.receive();
    received++;
  }
  assert.ok(client.quiet);
});

Deno.test("the server serves what came before a half-closed stream ended, then closes", async () => {
  await using daemon = await Daemon.start();
  const connection = await Deno.connect({ transport: "unix", path: daemon.socket });
  await connection.write(join(CALL, CALL, CALL.subarray(0, 5)));
  await connection.closeWrite();
  const received = new Uint8Array(await new Response(connection.readable).arrayBuffer());
  assert.equal(received.toHex(), (REPLY + REPLY).replaceAll(" ", ""));
});

Deno.test("the server closes a connection at a message length that cannot be", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  for (const length of ["00000000", "00000003", "00000004", "0000001b", "02000005", "7fffffff", "ffffffff"]) {
    using client = RawClient.connect(daemon.socket);
    client.send(join(CALL, bytes(length), CALL));
    assert.equal(words(client), REPLY, length);
    client.untilClosed();
    other.roundTrip();
  }
});

Deno.test("the server reads a message of the greatest length and keeps little of it", async () => {
  await using daemon = await Daemon.start();
  using other = RawClient.connect(daemon.socket);
  other.roundTrip();
  const before = ownKiB(daemon.pid);
  using client = RawClient.connect(daemon.socket);
  const start = CALL.slice();
  new DataView(start.buffer).setUint32(0, FRAME_MAX);
  client.send(start);
  const chunk = new Uint8Array(65536);
  for (let left = FRAME_MAX - start.length; left > 0;) {
    const sent = client.offer(chunk.subarray(0, Math.min(left, chunk.length)));
    left -= sent;
    if (sent === 0) other.roundTrip();
  }
  // Trailing bytes are accepted.
  assert.equal(words(client), REPLY);
  const grown = ownKiB(daemon.pid) - before;
  assert.ok(grown < 64 * 1024, `grew by ${grown} KiB`);
});

Deno.test("the server ignores messages that are no calls", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  for (const type of [1, 2, 3, 5, 6, 7, 0xffffffff]) {
    for (const program of [0x0ea7beef, 0x12345678]) {
      const message = CALL.slice();
      new DataView(message.buffer).setUint32(4, program);
      new DataView(message.buffer).setUint32(16, type);
      client.send(message);
    }
  }
  client.send(CALL);
  assert.equal(words(client), REPLY);
});

Deno.test("the server answers keepalive messages and no other ones of that program", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  const change = (offset: number, value: number) => {
    const message = PING.slice();
    new DataView(message.buffer).setUint32(offset, value);
    return message;
  };
  client.send(join(PING, change(20, 77)));
  assert.equal(words(client), PONG);
  assert.equal(words(client), PONG);
  const version2 = change(8, 2);
  const procedure3 = change(12, 3);
  const pong = bytes(PONG.replaceAll(" ", ""));
  client.send(join(version2, procedure3, pong, CALL));
  assert.equal(words(client), REPLY);
});

Deno.test("the server refuses a call that no program takes", async () => {
  await using daemon = await Daemon.start();
  const change = (offset: number, value: number) => {
    const message = CALL.slice();
    new DataView(message.buffer).setUint32(offset, value);
    return message;
  };
  assert.equal(
    refusal(daemon, change(4, 0x12345678)),
    "1 39/7 Cannot find program 305419896 version 1",
  );
  assert.equal(refusal(daemon, change(8, 2)), "1 39/7 Cannot find program 245874415 version 2");
  assert.equal(refusal(daemon, change(4, 0x06900690)), "1 39/7 Cannot find program 110102160 version 1");
  assert.equal(refusal(daemon, change(4, 0x6b656570)), "1 39/7 Cannot find program 1801807216 version 1");
  assert.equal(refusal(daemon, change(12, 0)), "1 39/7 unknown procedure: 0");
  assert.equal(refusal(daemon, change(12, 9)), "1 39/7 unknown procedure: 9");
  assert.equal(refusal(daemon, change(12, 0xffffffff)), "1 39/7 unknown procedure: -1");
  assert.equal(refusal(daemon, change(24, 1)), "1 39/7 Unexpected message status 1");
});

Deno.test("the server echoes any serial", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  for (const serial of [0, 0x7fffffff, 0xffffffff]) {
    const message = CALL.slice();
    new DataView(message.buffer).setUint32(20, serial);
    client.send(message);
    assert.equal(client.receive().header.serial, serial);
  }
});

const UNDECODABLE: Record<string, string> = {
  "no payload": "",
  "half a length": "0000",
  "a string past the end": "00000005 61626364",
  "a string without its padding": "00000005 61626364 65",
  "a string of 4 GiB": "ffffffff 61626364",
  "a string over the limit": `00010001 ${"61".repeat(65540)}`,
};
Deno.test("the server refuses a payload that does not decode", async () => {
  await using daemon = await Daemon.start();
  for (const [name, payload] of Object.entries(UNDECODABLE)) {
    const message = join(CALL.subarray(0, 28), bytes(payload));
    new DataView(message.buffer).setUint32(0, message.length);
    assert.equal(refusal(daemon, message), "1 39/7 Unable to decode message payload", name);
  }
});

Deno.test("the server takes trailing bytes and padding that is not zero", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  // RELEASE is not reached without registration: the flags are read behind the padding of "a" and "b".
  const release = "0ea7beef 00000001 00000007 00000000 00000007 00000000";
  client.send(bytes(`00000034 ${release} 00000001 61ffffff 00000001 62010203 00000000 deadbeef`));
  const { header, payload } = client.receive();
  assert.deepEqual([header.procedure, header.status], [7, 1]);
  assert.equal(new DataView(payload.buffer, payload.byteOffset).getInt32(0), 55);
});

const WITH_FDS = "0ea7beef 00000001 00000008 00000004 00000007 00000000";

Deno.test("the server serves a call with descriptors, whether they come or not", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
  const openBefore = openDescriptors(daemon.pid);
  client.send(bytes(`00000024 ${WITH_FDS} 00000000 00000000`));
  assert.equal(words(client), REPLY);
  // One byte for each descriptor follows the message.
  for (let split = 1; split < 38; split++) {
    const message = bytes(`00000024 ${WITH_FDS} 00000002 00000000 0000`);
    client.send(message.subarray(0, split));
    client.send(message.subarray(split));
    assert.equal(words(client), REPLY);
  }
  const [one, two] = [kernel.eventfd(), kernel.eventfd()];
  const message = bytes(`00000024 ${WITH_FDS} 00000002 00000000`);
  client.send(message);
  assert.equal(kernel.sendMessage(client.fd, new Uint8Array(2), [one, two]), 2);
  kernel.close(one);
  kernel.close(two);
  assert.equal(words(client), REPLY);
  client.send(CALL);
  assert.equal(words(client), REPLY);
  await until("the descriptors to be dropped", () => openDescriptors(daemon.pid) <= openBefore);
});

Deno.test("the server closes at a call with more descriptors than 32, or without their number", async () => {
  await using daemon = await Daemon.start();
  for (const message of [`00000024 ${WITH_FDS} 00000021 00000000`, `0000001c ${WITH_FDS}`]) {
    using client = RawClient.connect(daemon.socket);
    client.send(bytes(message));
    client.untilClosed();
  }
  using client = RawClient.connect(daemon.socket);
  client.roundTrip();
});

Deno.test("the server ignores a call with descriptors to a program that it does not have", async () => {
  await using daemon = await Daemon.start();
  using client = RawClient.connect(daemon.socket);
  const message = bytes(`00000024 ${WITH_FDS} 00000001 00000000 00`);
  new DataView(message.buffer).setUint32(4, 0x12345678);
  client.send(join(message, CALL));
  assert.equal(words(client), REPLY);
  assert.ok(client.quiet);
});
