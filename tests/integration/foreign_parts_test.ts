// Images whose headers name other files or servers, and volumes that are no files: nothing of the host but
// the volume itself may be touched.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import {
  PoolProcedure,
  readVolume,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import type { PoolRef, VolumeRef } from "../../src/storaged/model/storage_service.ts";
import { makePool, poolFlags, range, volumeFlags } from "../support/storage_calls.ts";
import { type StorageClient, StorageDaemon } from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";

const MOST_XML = 1 << 16;

/** Makes an image in the pool's directory beside the daemon, which then reads its list. */
function makeImage(daemon: StorageDaemon, client: StorageClient, pool: PoolRef, ...args: string[]): void {
  const cwd = `${daemon.place.directory}/pool`;
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", ...args], { cwd });
  client.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool));
}

function volumeOf(client: StorageClient, pool: PoolRef, name: string): VolumeRef {
  return readVolume(client.call(VolumeProcedure.LOOKUP_BY_NAME, (writer) => {
    writePool(writer, pool);
    writer.string(name);
  }));
}

function resize(volume: VolumeRef) {
  return (writer: XdrWriter) => {
    writeVolume(writer, volume);
    writer.u64(4n << 20n);
    writer.u32(0);
  };
}

function copy(pool: PoolRef, volume: VolumeRef) {
  return (writer: XdrWriter) => {
    writePool(writer, pool);
    writer.string("<volume><name>copy</name><capacity>1</capacity></volume>");
    writeVolume(writer, volume);
    writer.u32(0);
  };
}

function xmlOf(client: StorageClient, volume: VolumeRef): string {
  return client.call(VolumeProcedure.GET_XML_DESC, (writer) => volumeFlags(writer, volume)).string(MOST_XML);
}

Deno.test("an image that keeps its data in another file is shown so, and neither resized nor copied", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const victim = `${daemon.place.directory}/victim`;
  makeImage(daemon, client, pool, "-o", `data_file=${victim},data_file_raw=on`, "v", "1M");
  const volume = volumeOf(client, pool, "v");
  assert.match(xmlOf(client, volume), /<features>\s*<data_file\/>\s*<\/features>/);
  const refusal = (done: string) =>
    `67/18 unsupported configuration: volume 'v' cannot be ${done}: its data is in another file`;
  assert.equal(client.ask(VolumeProcedure.RESIZE, resize(volume)), refusal("resized"));
  assert.equal(client.ask(VolumeProcedure.CREATE_XML_FROM, copy(pool, volume)), refusal("copied"));
  assert.equal(Deno.statSync(victim).size, 1 << 20);
});

Deno.test("what a header names is looked at when it counts, not when the list was read", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  makeImage(daemon, client, pool, "v", "1M");
  const volume = volumeOf(client, pool, "v");
  const victim = `${daemon.place.directory}/victim`;
  const options = ["-o", `data_file=${victim},data_file_raw=on`, `${daemon.place.directory}/pool/v`, "1M"];
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", ...options]);
  assert.match(String(client.ask(VolumeProcedure.RESIZE, resize(volume))), /its data is in another file$/);
  assert.match(
    String(client.ask(VolumeProcedure.CREATE_XML_FROM, copy(pool, volume))),
    /its data is in another file$/,
  );
  assert.equal(Deno.statSync(victim).size, 1 << 20);
});

Deno.test("an image that stands on a server is neither resized nor copied: nothing asks the server", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  makeImage(daemon, client, pool, "-u", "-b", "nbd://127.0.0.1:1/x", "-F", "raw", "v", "1M");
  const volume = volumeOf(client, pool, "v");
  const refusal = (done: string) =>
    `67/18 unsupported configuration: volume 'v' cannot be ${done}: its backing store nbd://127.0.0.1:1/x is not ` +
    "a local file";
  assert.equal(client.ask(VolumeProcedure.RESIZE, resize(volume)), refusal("resized"));
  assert.equal(client.ask(VolumeProcedure.CREATE_XML_FROM, copy(pool, volume)), refusal("copied"));
});

Deno.test("a directory as a volume has no size, and is no data that could be downloaded", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const volume = readVolume(client.call(VolumeProcedure.CREATE_XML, (writer) => {
    writePool(writer, pool);
    writer.string(
      "<volume><name>d</name><capacity>512</capacity><target><format type='dir'/></target></volume>",
    );
    writer.u32(0);
  }));
  assert.match(xmlOf(client, volume), /<capacity unit='bytes'>0<.*\n.*<allocation unit='bytes'>0</);
  client.raw.send(remoteFrame(VolumeProcedure.DOWNLOAD, 78, (writer) => range(writer, volume)));
  assert.equal(client.raw.receive().header.type, MessageType.REPLY);
  const end = client.raw.receive();
  assert.deepEqual([end.header.type, end.header.status], [MessageType.STREAM, MessageStatus.ERROR]);
  const path = `${daemon.place.directory}/pool/d`;
  assert.match(String(answerOf(end)), new RegExp(`^38/\\d+ Unable to read ${path}: Is a directory$`));
});

Deno.test("a pool that was defined anew while it was active says no sizes when it is stopped", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const xml = () =>
    client.call(PoolProcedure.GET_XML_DESC, (writer) => poolFlags(writer, pool)).string(MOST_XML);
  const target = `<path>${daemon.place.directory}/other</path>`;
  client.call(PoolProcedure.DEFINE_XML, (writer) => {
    writer.string(
      `<pool type='dir'><name>p</name><uuid>${pool.uuid}</uuid><target>${target}</target></pool>`,
    );
    writer.u32(0);
  });
  assert.doesNotMatch(xml(), /<capacity unit='bytes'>0</);
  client.call(PoolProcedure.DESTROY, (writer) => writePool(writer, pool));
  assert.match(xml(), /<capacity unit='bytes'>0<[\s\S]*\/other<\/path>/);
});
