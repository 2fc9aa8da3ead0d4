import assert from "node:assert/strict";
import { XdrReader, type XdrWriter } from "../../src/chassis/wire/xdr.ts";
import type { PoolRef } from "../../src/storaged/model/storage_service.ts";
import { PoolProcedure, readPool, writePool } from "../../src/storaged/wire/remote_protocol.ts";
import { Place } from "../support/place.ts";
import { type StorageClient, StorageDaemon } from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";
import { until } from "../support/until.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// The whole storage daemon, with a pool on a real FUSE filesystem that hangs. Needs root and /dev/fuse.

/** Makes a pool and starts it. */
function makePool(client: StorageClient, name: string, path: string): PoolRef {
  const pool = readPool(client.call(PoolProcedure.DEFINE_XML, (writer) => {
    writer.string(`<pool type='dir'><name>${name}</name><target><path>${path}</path></target></pool>`);
    writer.u32(0);
  }));
  client.call(PoolProcedure.CREATE, (writer) => poolFlags(writer, pool));
  return pool;
}

function poolFlags(writer: XdrWriter, pool: PoolRef): void {
  writePool(writer, pool);
  writer.u32(0);
}

const REFRESH = PoolProcedure.REFRESH;

Deno.test("a pool whose storage hangs holds up nobody else, and its calls end", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(Place.create());
  Deno.mkdirSync(`${place.env["XDG_CONFIG_HOME"]}/libvirt`, { recursive: true });
  Deno.writeTextFileSync(
    `${place.env["XDG_CONFIG_HOME"]}/libvirt/virtstoraged.conf`,
    "storage_timeout = 1\n",
  );
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  const daemon = stack.use(await StorageDaemon.start([], place));
  const client = stack.use(daemon.open());
  const others = Array.from({ length: 3 }, () => stack.use(daemon.open()));
  const hung = makePool(client, "hung", mount.point);
  Deno.mkdirSync(`${place.directory}/local`);
  const local = makePool(client, "local", `${place.directory}/local`);
  await mount.hang();
  try {
    client.raw.send(remoteFrame(REFRESH, 7, (writer) => poolFlags(writer, hung)));
    for (const other of others) {
      assert.equal(other.call(PoolProcedure.NUM_OF_POOLS).i32(), 2);
      other.call(REFRESH, (writer) => poolFlags(writer, local));
      other.call(PoolProcedure.GET_INFO, (writer) => writePool(writer, hung));
      other.call(PoolProcedure.NUM_OF_VOLUMES, (writer) => writePool(writer, hung));
    }
    // All of them were answered while this one waits.
    assert.equal(client.raw.quiet, true);
    await until("the refresh to end", () => !client.raw.quiet, 60_000);
    assert.match(String(answerOf(client.raw.receive())), /^68\/18 Timed out during operation: /);
  } finally {
    await mount.goOn();
  }
  await until(
    "the pool to be well",
    () => client.ask(REFRESH, (writer) => poolFlags(writer, hung)) instanceof XdrReader,
  );
});

Deno.test("a start does not wait for a pool whose storage hangs", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(Place.create());
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  Deno.mkdirSync(`${place.directory}/local`);
  {
    await using daemon = await StorageDaemon.start([], place);
    using client = daemon.open();
    makePool(client, "hung", mount.point);
    makePool(client, "local", `${place.directory}/local`);
  }
  await mount.hang();
  try {
    await using daemon = await StorageDaemon.start([], place);
    using client = daemon.open();
    const answer = client.call(PoolProcedure.LOOKUP_BY_NAME, (writer) => writer.string("local"));
    const local = readPool(answer);
    client.call(REFRESH, (writer) => poolFlags(writer, local));
    assert.equal(client.call(PoolProcedure.NUM_OF_VOLUMES, (writer) => writePool(writer, local)).i32(), 0);
  } finally {
    await mount.goOn();
  }
});
