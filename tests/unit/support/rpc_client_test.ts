import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { encodeFrame, type Header, MessageStatus, MessageType } from "../../../src/chassis/wire/frame.ts";
import { isPing, writePong } from "../../../src/chassis/wire/keepalive.ts";
import { decodeResource, LOCK_PROGRAM } from "../../../src/lockd/wire/lock_protocol.ts";
import { encodeRpcFailure, resourceBusy } from "../../../src/chassis/wire/rpc_error.ts";
import { XdrReader } from "../../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../../src/chassis/wire/xdr_writer.ts";
import { FrameSplitter } from "../../support/frame_splitter.ts";
import { LockClient } from "../../support/lock_client.ts";
import { RpcClient } from "../../support/rpc_client.ts";

type OnFrame = (socket: Socket, header: Header, payload: Uint8Array) => void;

/** Runs a test against a server that does with each message what the test says. */
async function withServer(onFrame: OnFrame, test: (path: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    const splitter = new FrameSplitter();
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Uint8Array) => {
      for (const { header, payload } of splitter.push(chunk)) onFrame(socket, header, payload);
    });
  });
  const path = `${directory}/socket`;
  server.listen(path);
  await once(server, "listening");
  try {
    await test(path);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
    await Deno.remove(directory, { recursive: true });
  }
}

function reply(
  header: Header,
  payload: Uint8Array = new Uint8Array(0),
  status: number = MessageStatus.OK,
): Uint8Array {
  return encodeFrame({ ...header, type: MessageType.REPLY, status }, payload);
}

Deno.test("RpcClient.call() matches replies by serial, in whatever order they come", async () => {
  const waiting: Uint8Array[] = [];
  const onFrame: OnFrame = (socket, header, payload) => {
    waiting.unshift(reply(header, payload));
    if (waiting.length === 3) { for (const bytes of waiting) socket.write(bytes); }
  };
  await withServer(onFrame, async (path) => {
    await using client = await RpcClient.connect(path);
    const results = await Promise.all([1, 2, 3].map((value) => client.call(9, 5, Uint8Array.of(value))));
    assert.deepEqual(results.map((result) => result.kind === "ok" && [...result.payload]), [[1], [2], [3]]);
    assert.deepEqual(results.map(({ header }) => header.serial), [1, 2, 3]);
  });
});

Deno.test("RpcClient.call() returns an error reply as a failure, the typed methods throw it", async () => {
  const writer = new XdrWriter();
  encodeRpcFailure(writer, resourceBusy(51, "x"));
  const onFrame: OnFrame = (socket, header) => socket.write(reply(header, writer.bytes, MessageStatus.ERROR));
  await withServer(onFrame, async (path) => {
    await using client = await LockClient.connect(path);
    const result = await client.call(LOCK_PROGRAM, 6);
    assert.equal(result.kind === "error" && result.failure.message, "resource busy: x");
    await assert.rejects(client.acquire("", "/x"), { name: "RpcFailure", code: 87, domain: 51 });
  });
});

Deno.test("LockClient.acquire() sends its arguments to procedure 6 of the lock program", async () => {
  const seen: unknown[] = [];
  const onFrame: OnFrame = (socket, header, payload) => {
    seen.push(header, decodeResource(new XdrReader(payload)));
    socket.write(reply(header));
  };
  await withServer(onFrame, async (path) => {
    await using client = await LockClient.connect(path);
    await client.acquire("/space", "name", 2);
    assert.deepEqual(seen, [
      { program: 0x0ea7beef, version: 1, procedure: 6, type: 0, serial: 1, status: 0 },
      { path: "/space", name: "name", flags: 2 },
    ]);
  });
});

Deno.test("RpcClient.call() rejects when there is no reply in time", async () => {
  await withServer(() => {}, async (path) => {
    await using client = await RpcClient.connect(path, 20);
    await assert.rejects(client.call(9, 5), {
      message: `No reply to procedure 5 of program 0x9, serial 1 from ${path} within 20 ms`,
    });
    await assert.rejects(client.nextMessage(), { message: `No message from ${path} within 20 ms` });
  });
});

Deno.test("RpcClient rejects what is waited for when the peer closes, and whatever is asked later", async () => {
  await withServer((socket) => socket.end(), async (path) => {
    await using client = await RpcClient.connect(path);
    const message = `Connection to ${path} ended before the reply to procedure 5 of program 0x9, serial 1`;
    await assert.rejects(client.call(9, 5), { message });
    assert.equal(await client.closed, undefined);
    await assert.rejects(client.nextMessage(), { message: `Connection to ${path} ended before the message` });
  });
});

Deno.test("RpcClient.call() rejects a reply to another procedure, and one that breaks off", async () => {
  const onFrame: OnFrame = (socket, header) =>
    socket.write(header.serial === 1 ? reply({ ...header, procedure: 6 }) : reply(header, undefined, 1));
  await withServer(onFrame, async (path) => {
    await using client = await RpcClient.connect(path);
    await assert.rejects(client.call(9, 5), {
      message: "Expected a reply to procedure 5 of program 0x9, serial 1, received " +
        '{"program":9,"version":1,"procedure":6,"type":1,"serial":1,"status":0}',
    });
    await assert.rejects(client.call(9, 5), {
      message: "Expected a reply to procedure 5 of program 0x9, serial 2, received a malformed error",
    });
  });
});

Deno.test("RpcClient ends the connection for bytes that are no message", async () => {
  await withServer((socket) => socket.write(Uint8Array.of(255, 255, 255, 255)), async (path) => {
    await using client = await RpcClient.connect(path);
    await assert.rejects(
      client.call(9, 5),
      (error: Error) => error.message.includes("ended before the reply"),
    );
    assert.equal((await client.closed)?.message, "Malformed message length: 255,255,255,255");
  });
});

Deno.test("RpcClient.nextMessage() gives what is no reply, RpcClient.ping() waits for the PONG", async () => {
  const onFrame: OnFrame = (socket, header, payload) => {
    const pong = new Uint8Array(28);
    writePong(pong, 0);
    socket.write(isPing(header) ? pong : encodeFrame({ ...header, type: MessageType.MESSAGE }, payload));
  };
  await withServer(onFrame, async (path) => {
    await using client = await RpcClient.connect(path);
    const header = { program: 9, version: 1, procedure: 5, type: MessageType.MESSAGE, serial: 0, status: 0 };
    client.send(encodeFrame(header, Uint8Array.of(1)));
    assert.deepEqual(await client.nextMessage(), { header, payload: Uint8Array.of(1) });
    await client.ping();
    client.send(encodeFrame(header, Uint8Array.of(2)));
    await assert.rejects(
      client.ping(),
      (error: Error) => error.message.startsWith("Expected a PONG, received"),
    );
  });
});

Deno.test("RpcClient.connect() rejects where nobody listens", async () => {
  const directory = await Deno.makeTempDir();
  await assert.rejects(RpcClient.connect(`${directory}/none`), { code: "ENOENT" });
  await Deno.remove(directory);
});
