import assert from "node:assert/strict";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { PoolRef, VolumeRef } from "../../src/storaged/model/storage_service.ts";
import {
  PoolProcedure,
  readPool,
  readVolume,
  VolumeProcedure,
  writePool,
} from "../../src/storaged/wire/remote_protocol.ts";
import { Place } from "../support/place.ts";
import {
  beginDownload,
  beginUpload,
  makePoolAt,
  poolFlags,
  sendHole,
  sendPacket,
  SPARSE,
  volumeFlags,
  volumeNames,
} from "../support/storage_calls.ts";
import {
  AMPLE,
  placeWithLimit,
  type StorageClient,
  StorageDaemon,
  writeLimit,
} from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";
import { until } from "../support/until.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// The whole storage daemon, with a pool on a real FUSE filesystem that hangs. Needs root and /dev/fuse.

const REFRESH = PoolProcedure.REFRESH;

/** virStoragePoolState. */
const RUNNING = 2;
const INACCESSIBLE = 4;

function stateOf(client: StorageClient, pool: PoolRef): number {
  return client.call(PoolProcedure.GET_INFO, (writer) => writePool(writer, pool)).i32();
}

Deno.test("a pool whose storage hangs holds up nobody else, and its calls end", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const log = `${place.directory}/log`;
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  const daemon = stack.use(await StorageDaemon.start([], place, { LIBVIRT_LOG_OUTPUTS: `1:file:${log}` }));
  const client = stack.use(daemon.open());
  const others = Array.from({ length: 3 }, () => stack.use(daemon.open()));
  const hung = makePoolAt(client, "hung", mount.point);
  Deno.mkdirSync(`${place.directory}/local`);
  const local = makePoolAt(client, "local", `${place.directory}/local`);
  await mount.hang();
  try {
    // However long that takes, nobody gives it up.
    client.raw.send(remoteFrame(REFRESH, 7, (writer) => poolFlags(writer, hung)));
    for (const other of others) {
      assert.equal(other.call(PoolProcedure.NUM_OF_POOLS).i32(), 2);
      other.call(REFRESH, (writer) => poolFlags(writer, local));
      other.call(PoolProcedure.GET_INFO, (writer) => writePool(writer, hung));
      other.call(PoolProcedure.NUM_OF_VOLUMES, (writer) => writePool(writer, hung));
    }
    // All of them were answered while this one waits.
    assert.equal(client.raw.quiet, true);
    await mount.goOn();
    assert.ok(answerOf(client.raw.receive()) instanceof XdrReader);

    daemon.limit(2);
    await mount.hang();
    client.raw.send(remoteFrame(REFRESH, 8, (writer) => poolFlags(writer, hung)));
    await until("the refresh to end", () => !client.raw.quiet);
    assert.match(String(answerOf(client.raw.receive())), /^68\/18 Timed out during operation: /);
    // Not ten times as late, as for a list that takes its time.
    assert.match(
      Deno.readTextFileSync(log),
      /error : .*refresh-pool at list of hung gave no sign of life within 2 s$/m,
    );
    assert.equal(stateOf(client, hung), INACCESSIBLE);
    assert.equal(stateOf(client, local), RUNNING);
    assert.match(await daemon.command("status"), /^storage that does not answer: +hung$/m);
    assert.match(await daemon.command("metrics"), /^virtstoraged_pools_hung 1$/m);
  } finally {
    await mount.goOn();
  }
  await until(
    "the pool to be well",
    () => client.ask(REFRESH, (writer) => poolFlags(writer, hung)) instanceof XdrReader,
  );
  assert.equal(stateOf(client, hung), RUNNING);
  assert.doesNotMatch(await daemon.command("status"), /does not answer/);
});

const REFUSED =
  /^68\/18 Timed out during operation: the storage of pool 'hung' \(\S+\/a\) does not answer, and (up|down)load of volume '.*' \(job \d\) is given up: see to it, then try again$/;

/** How a stream is begun, and what comes of it while storage hangs. */
const STREAMS: Readonly<
  Record<string, { begin: (client: StorageClient, volume: VolumeRef) => void; end: RegExp }>
> = {
  "an upload that goes on": {
    begin: beginUpload,
    end: REFUSED,
  },
  "an upload that was sent": {
    begin: (client, volume) => {
      beginUpload(client, volume);
      sendPacket(client, "data");
      sendEnd(client, MessageStatus.OK);
    },
    end: REFUSED,
  },
  "a sparse upload that was sent": {
    begin: (client, volume) => {
      beginUpload(client, volume, SPARSE);
      sendHole(client, 4096n);
      sendPacket(client, "data");
      sendEnd(client, MessageStatus.OK);
    },
    end: REFUSED,
  },
  "an upload that was given up": {
    begin: (client, volume) => {
      beginUpload(client, volume);
      sendPacket(client, "data");
      sendEnd(client, MessageStatus.ERROR);
    },
    end: /^the end$/,
  },
  "a download": { begin: beginDownload, end: REFUSED },
  "a sparse download": { begin: (client, volume) => beginDownload(client, volume, SPARSE), end: REFUSED },
};

function sendEnd(client: StorageClient, status: number): void {
  client.raw.send(remoteFrame(VolumeProcedure.UPLOAD, 77, () => {}, MessageType.STREAM, status));
}

/** More packets than can be on their way to storage that takes none. */
function packets(): Uint8Array {
  const opaque = (writer: XdrWriter) => writer.opaque(new Uint8Array(1 << 18));
  const packet = remoteFrame(VolumeProcedure.UPLOAD, 77, opaque, MessageType.STREAM, MessageStatus.CONTINUE);
  const all = new Uint8Array(packet.length * 64);
  for (let at = 0; at < all.length; at += packet.length) all.set(packet, at);
  return all;
}

Deno.test("streams of volumes whose storage hangs end with an error, and hold up nobody", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  const names = Object.keys(STREAMS);
  for (const name of names) Deno.writeFileSync(`${mount.backing}/${name}`, new Uint8Array(1 << 20));
  const daemon = stack.use(await StorageDaemon.start([], place));
  const other = stack.use(daemon.open());
  const pool = makePoolAt(other, "hung", mount.point);
  const volume = (name: string) =>
    readVolume(other.call(VolumeProcedure.LOOKUP_BY_NAME, (writer) => {
      writePool(writer, pool);
      writer.string(name);
    }));
  const clients = new Map(names.map((name) => [name, stack.use(daemon.open())]));
  daemon.limit(2);
  await mount.hang();
  try {
    for (const [name, client] of clients) STREAMS[name]?.begin(client, volume(name));
    await until("the jobs to be shown as hung", async () => {
      const jobs = await daemon.command("jobs");
      // Of the upload that goes on nothing is waited for yet.
      return [...jobs.matchAll(/ hung /g)].length === names.length - 1;
    });
    const going = clients.get("an upload that goes on");
    const data = packets();
    let sent = 0;
    for (const [name, client] of clients) {
      await until(`the end of ${name}`, () => {
        sent += going?.raw.offer(data.subarray(sent)) ?? 0;
        return !client.raw.quiet;
      });
      assert.equal(other.call(PoolProcedure.NUM_OF_POOLS).i32(), 1);
      const frame = client.raw.receive();
      assert.deepEqual([frame.header.type, frame.header.serial], [MessageType.STREAM, 77]);
      const answer = answerOf(frame);
      assert.match(typeof answer === "string" ? answer : "the end", STREAMS[name]?.end ?? /^$/, name);
    }
    assert.ok(sent < data.length);
  } finally {
    await mount.goOn();
  }
  for (const name of names) {
    await until(
      `${name} to be over`,
      () =>
        other.ask(VolumeProcedure.DELETE, (writer) => volumeFlags(writer, volume(name))) instanceof XdrReader,
    );
  }
  assert.equal(await daemon.command("jobs"), "No job is under way\n");
});

Deno.test("a start does not wait for a pool whose storage hangs", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(Place.create());
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  Deno.mkdirSync(`${place.directory}/local`);
  {
    await using daemon = await StorageDaemon.start([], place);
    using client = daemon.open();
    makePoolAt(client, "hung", mount.point);
    makePoolAt(client, "local", `${place.directory}/local`);
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

Deno.test("a pool that was up is up again when its storage answers, however late after the start", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  Deno.writeTextFileSync(`${mount.backing}/v`, "data");
  {
    await using daemon = await StorageDaemon.start([], place);
    using client = daemon.open();
    client.call(PoolProcedure.CREATE_XML, (writer) => {
      writer.string(
        `<pool type='dir'><name>transient</name><target><path>${mount.point}</path></target></pool>`,
      );
      writer.u32(0);
    });
  }
  const log = `${place.directory}/log`;
  await mount.hang();
  writeLimit(place, 2);
  let daemon: StorageDaemon;
  try {
    daemon = stack.use(await StorageDaemon.start([], place, { LIBVIRT_LOG_OUTPUTS: `1:file:${log}` }));
    await until(
      "the daemon to have tried",
      () => /'transient' was active: .*; trying again in 5 s$/m.test(Deno.readTextFileSync(log)),
    );
  } finally {
    await mount.goOn();
  }
  using client = daemon.open();
  const pool = await until("the pool to be up", () => {
    const pool = readPool(client.call(PoolProcedure.LOOKUP_BY_NAME, (writer) => writer.string("transient")));
    const active = client.ask(PoolProcedure.IS_ACTIVE, (writer) => writePool(writer, pool));
    return active instanceof XdrReader && active.i32() === 1 ? pool : undefined;
  });
  assert.deepEqual(volumeNames(client, pool), ["v"]);
});
