// What clients may send to a whole storage daemon that nobody means well with: names, sizes and serials.

import assert from "node:assert/strict";
import { MessageStatus } from "../../src/chassis/wire/frame.ts";
import type { VolumeRef } from "../../src/storaged/model/storage_service.ts";
import {
  PoolProcedure,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import {
  beginUpload,
  endUpload,
  makePool,
  makeVolume,
  poolFlags,
  range,
  sendPacket,
  volumeFlags,
  volumeNames,
} from "../support/storage_calls.ts";
import { type StorageClient, StorageDaemon } from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";
import { until } from "../support/until.ts";

/** Sizes that no number of a system call can have, and those that it would have instead. */
const TOO_LARGE = [2n ** 64n - 1n, 2n ** 64n - 512n, 2n ** 63n, 2n ** 63n - 1n, 2n ** 53n];

Deno.test("no size and no position is taken for another one: the volume stays as it is", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const volume = makeVolume(client, pool, "v", 8);
  const path = `${daemon.place.directory}/pool/v`;
  Deno.writeTextFileSync(path, "12345678");
  for (const size of TOO_LARGE) {
    const resized = client.ask(VolumeProcedure.RESIZE, (writer) => {
      writeVolume(writer, volume);
      writer.u64(size);
      writer.u32(0);
    });
    assert.match(String(resized), /^38\/18 Failed to truncate file '.*\/v': File too large$/);
    for (const procedure of [VolumeProcedure.UPLOAD, VolumeProcedure.DOWNLOAD]) {
      const streamed = client.ask(procedure, (writer) => {
        writeVolume(writer, volume);
        writer.u64(size);
        writer.u64(0n);
        writer.u32(0);
      });
      assert.match(String(streamed), new RegExp(`^38/18 Unable to seek .*/v to ${size}: File too large$`));
    }
  }
  for (const size of [2n ** 63n - 1n, 2n ** 53n]) {
    const made = client.ask(VolumeProcedure.CREATE_XML, (writer) => {
      writePool(writer, pool);
      writer.string(`<volume><name>w</name><capacity>${size}</capacity><allocation>0</allocation></volume>`);
      writer.u32(0);
    });
    assert.match(String(made), /^38\/18 cannot extend file '.*\/w': File too large$/);
  }
  assert.equal(Deno.readTextFileSync(path), "12345678");
  assert.deepEqual(volumeNames(client, pool), ["v"]);
});

Deno.test("no volume gets a name under which a refresh would remove it", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const source = makeVolume(client, pool, "v", 8);
  const xml = "<volume><name>.virtstoraged-new-mine</name><capacity>8</capacity></volume>";
  const refusal =
    "55/18 Requested operation is not valid: volume name '.virtstoraged-new-mine' is reserved for volumes that are being made";
  const created = client.ask(VolumeProcedure.CREATE_XML, (writer) => {
    writePool(writer, pool);
    writer.string(xml);
    writer.u32(0);
  });
  assert.equal(created, refusal);
  const cloned = client.ask(VolumeProcedure.CREATE_XML_FROM, (writer) => {
    writePool(writer, pool);
    writer.string(xml);
    volumeFlags(writer, source);
  });
  assert.equal(cloned, refusal);
});

Deno.test("no volume gets a name that leads out of its pool", async () => {
  await using daemon = await StorageDaemon.start();
  using client = daemon.open();
  const pool = makePool(daemon, client);
  const path = `${daemon.place.directory}/pool`;
  const refusals: readonly (readonly [string, string])[] = [
    ["../out", "55/18 Requested operation is not valid: volume name '../out' cannot contain '/'"],
    ["..", `55/18 Requested operation is not valid: volume target path '${path}/..' already exists`],
    [".", `55/18 Requested operation is not valid: volume target path '${path}/.' already exists`],
  ];
  for (const [name, refusal] of refusals) {
    const created = client.ask(VolumeProcedure.CREATE_XML, (writer) => {
      writePool(writer, pool);
      writer.string(`<volume><name>${name}</name><capacity>8</capacity></volume>`);
      writer.u32(0);
    });
    assert.equal(created, refusal);
  }
  assert.deepEqual([...Deno.readDirSync(path)], []);
});

/** Begins a stream with a serial that one has already. @returns the answer */
function beginAgain(client: StorageClient, procedure: number, volume: VolumeRef): unknown {
  client.raw.send(remoteFrame(procedure, 77, (writer) => range(writer, volume)));
  return answerOf(client.raw.receive());
}

Deno.test("a second stream of one serial is refused, and the first one goes on", async () => {
  await using daemon = await StorageDaemon.start();
  const observer = daemon.open();
  const pool = makePool(daemon, observer);
  const volume = makeVolume(observer, pool, "v", 8);
  const other = makeVolume(observer, pool, "w", 8);
  {
    using client = daemon.open();
    beginUpload(client, volume);
    const refusal = "39/7 There is a stream with the serial 77 on this connection already";
    assert.equal(beginAgain(client, VolumeProcedure.UPLOAD, other), refusal);
    assert.equal(beginAgain(client, VolumeProcedure.DOWNLOAD, other), refusal);
    // It was not begun, so it is as whole as before.
    observer.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool));
    using reader = daemon.open();
    reader.call(VolumeProcedure.DOWNLOAD, (writer) => range(writer, other));
    sendPacket(client, "87654321");
    assert.equal(endUpload(client), MessageStatus.OK);
  }
  assert.equal(Deno.readTextFileSync(`${daemon.place.directory}/pool/v`), "87654321");
  await until("the streams to be over", async () => await daemon.command("jobs", "--json") === "[]\n");
  // Nobody holds them any more.
  for (const each of [volume, other]) {
    observer.call(VolumeProcedure.DELETE, (writer) => volumeFlags(writer, each));
  }
  observer.call(PoolProcedure.DESTROY, (writer) => writePool(writer, pool));
  observer[Symbol.dispose]();
});

Deno.test("a stream whose client stands still can be cancelled, and the volume is free then", async () => {
  await using daemon = await StorageDaemon.start();
  using observer = daemon.open();
  const pool = makePool(daemon, observer);
  const volume = makeVolume(observer, pool, "v", 64 << 20);
  for (const begin of [VolumeProcedure.UPLOAD, VolumeProcedure.DOWNLOAD]) {
    using client = daemon.open();
    client.raw.send(remoteFrame(begin, 77, (writer) => range(writer, volume)));
    assert.notEqual(typeof answerOf(client.raw.receive()), "string");
    const job = await until("the job to run", async () => {
      const [first] = JSON.parse(await daemon.command("jobs", "--json"));
      return first?.state === "running" ? first.id : undefined;
    });
    await daemon.command("jobs", "--cancel", String(job));
    await until("the job to be over", async () => await daemon.command("jobs", "--json") === "[]\n");
    observer.call(VolumeProcedure.WIPE, (writer) => volumeFlags(writer, volume));
    observer.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool));
  }
});
