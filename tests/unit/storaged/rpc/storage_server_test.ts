import assert from "node:assert/strict";
import type { Authority } from "../../../../src/storaged/programs/authentication.ts";
import { ConnectProcedure } from "../../../../src/storaged/wire/remote_protocol.ts";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { RawClient } from "../../../support/raw_client.ts";
import { StorageStage } from "../../../support/storage_stage.ts";

const ASKING: Authority = {
  methodFor: () => "polkit",
  trusts: () => false,
  ask: (_client, done) => done({ kind: "denied" }),
};
const STRANGER = kernel.uid() + 1;

Deno.test("at the limit of clients the next one waits until one leaves", () => {
  using stage = new StorageStage({ maxClients: 2 });
  const first = stage.open();
  stage.open();
  stage.connect();
  assert.equal(stage.server.clients.size, 2);
  first[Symbol.dispose]();
  stage.turn();
  assert.deepEqual([...stage.server.clients.keys()], [2, 3]);
});

Deno.test("clients that are not authenticated have a limit of their own", () => {
  using stage = new StorageStage({ maxAnonymousClients: 2 });
  stage.connect();
  const second = stage.connect();
  stage.connect();
  assert.equal(stage.server.clients.size, 2);
  assert.equal(stage.server.unauthenticated, 2);
  stage.call(second, ConnectProcedure.AUTH_LIST);
  assert.equal(stage.server.clients.size, 3);
  assert.equal(stage.server.unauthenticated, 2);
});

Deno.test("listenInstead() takes whoever came to the socket before, and whoever comes to the new one", () => {
  using stage = new StorageStage();
  const [old] = stage.server.listeners;
  assert.ok(old);
  // In the backlog of the old one.
  using early = RawClient.connect(old.path);
  kernel.unlink(old.path);
  const fd = kernel.socket(SOCK_STREAM, true);
  assert.equal(kernel.bind(fd, old.path), 0);
  assert.equal(kernel.listen(fd, 100), 0);
  stage.server.listenInstead({ ...old, fd });
  const late = stage.connect();
  for (const client of [early, late]) {
    assert.notEqual(typeof stage.call(client, ConnectProcedure.AUTH_LIST), "string");
  }
  assert.deepEqual([...stage.server.clients.keys()], [1, 2]);
  assert.equal(stage.server.listeners.length, 2);
});

Deno.test("of an ordinary user eight clients may be unauthenticated, and the ninth is turned away", () => {
  using stage = new StorageStage({ authority: ASKING, peerUid: STRANGER });
  for (let count = 0; count < 9; count++) stage.connect();
  assert.equal(stage.server.clients.size, 8);
  assert.equal(
    stage.told.at(-1),
    `warn: Refused a connection to server virtstoraged: uid ${STRANGER} has 8 connections that are not authenticated`,
  );
});

Deno.test("an ordinary user has at most 256 connections", () => {
  using stage = new StorageStage({ peerUid: STRANGER, maxClients: 1000, maxAnonymousClients: 1000 });
  for (let count = 0; count < 257; count++) {
    const client = stage.connect();
    if (count < 256) stage.call(client, ConnectProcedure.AUTH_LIST);
  }
  assert.equal(stage.server.clients.size, 256);
});

Deno.test("a session's daemon serves its own user alone, and root", () => {
  for (const [peerUid, served] of [[STRANGER, 0], [0, 1]] as const) {
    using stage = new StorageStage({ peerUid, othersServed: false });
    stage.connect();
    assert.equal(stage.server.clients.size, served);
  }
});

Deno.test("what a client sends before it is authenticated takes no memory, however long it says it is", () => {
  using stage = new StorageStage({ authority: ASKING, peerUid: STRANGER });
  const clients = Array.from({ length: 8 }, () => stage.connect());
  // The header of a call of 32 MiB; of its payload 64 KiB are kept.
  const header = new Uint8Array([
    2,
    0,
    0,
    0,
    0x20,
    0,
    0x80,
    0x86,
    0,
    0,
    0,
    1,
    0,
    0,
    0,
    76,
    ...new Array(12).fill(0),
  ]);
  for (const client of clients) client.send(header);
  const piece = new Uint8Array(32768);
  for (let round = 0; round < 100; round++) {
    for (const client of clients) client.offer(piece);
    stage.turn();
  }
  assert.equal(stage.server.clients.size, 8);
  for (const connection of stage.server.clients.values()) assert.ok(connection.kept <= 65536 + 8192);
});

Deno.test("a client that does not authenticate is ended after five minutes", () => {
  using stage = new StorageStage({ authority: ASKING });
  stage.connect();
  stage.wait(299_000);
  assert.deepEqual(stage.told, ["connected 1"]);
  stage.wait(2_000);
  stage.wait(2_000);
  assert.deepEqual(stage.told, ["connected 1", "disconnected 1: it did not authenticate in time"]);
});

Deno.test("a client that asks for it is pinged when it is silent, and ended when it does not answer", () => {
  using stage = new StorageStage();
  const client = stage.open();
  stage.call(client, ConnectProcedure.SUPPORTS_FEATURE, (writer) => writer.i32(10));
  for (let second = 0; second < 5; second++) stage.wait(1000);
  const ping = client.receive();
  assert.deepEqual(ping.header, {
    program: 0x6b656570,
    version: 1,
    procedure: 1,
    type: 2,
    serial: 0,
    status: 0,
  });
  for (let second = 0; second < 5; second++) stage.wait(1000);
  assert.equal(client.receive().header.procedure, 1);
  for (let second = 0; second < 5; second++) stage.wait(1000);
  assert.equal(stage.told.at(-1), "disconnected 1: it does not answer");
});

Deno.test("a client that says anything is not ended", () => {
  using stage = new StorageStage();
  const client = stage.open();
  stage.call(client, ConnectProcedure.SUPPORTS_FEATURE, (writer) => writer.i32(10));
  for (let second = 0; second < 40; second++) {
    stage.wait(1000);
    if (client.quiet) continue;
    client.receive();
    stage.call(client, ConnectProcedure.IS_SECURE);
  }
  assert.equal(stage.server.clients.size, 1);
});

Deno.test("nothing is looked at while no client has a reason for it", () => {
  using stage = new StorageStage();
  stage.open();
  stage.wait(2000);
  stage.wait(2000);
  stage.wait(2000);
  assert.equal(stage.loop.turn(0), 0);
  assert.deepEqual(stage.told, []);
});
