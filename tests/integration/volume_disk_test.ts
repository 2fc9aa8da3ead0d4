// The calls that virtqemud makes for a disk that is a volume, as libvirt 9.0.0 and 11.3.0 were seen to make
// them when a guest is started and when a disk is attached: one connection for each disk.

import assert from "node:assert/strict";
import { encodeParams, ParamType } from "../../src/chassis/wire/typed_param.ts";
import type { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { PoolRef } from "../../src/storaged/model/storage_service.ts";
import {
  ConnectProcedure,
  PoolProcedure,
  readPool,
  readVolume,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import { RawClient } from "../support/raw_client.ts";
import { makePool, makeVolume, poolFlags } from "../support/storage_calls.ts";
import { StorageClient, StorageDaemon } from "../support/storage_daemon.ts";

const KEEPALIVE = 10;
const REMOTE_EVENT_CALLBACK = 14;
const REMOTE_CLOSE_CALLBACK = 15;
const FILE = 0;
const TEXT = 1 << 16;

/** Whom virtqemud speaks for, in its order: the one that has called it, here this process's user. */
function identity(writer: XdrWriter): void {
  encodeParams(writer, [
    { field: "user-name", type: ParamType.STRING, value: "root" },
    { field: "unix-user-id", type: ParamType.ULLONG, value: 0n },
    { field: "group-name", type: ParamType.STRING, value: "root" },
    { field: "unix-group-id", type: ParamType.ULLONG, value: 0n },
    { field: "process-id", type: ParamType.LLONG, value: BigInt(Deno.pid) },
    { field: "process-time", type: ParamType.ULLONG, value: 4724724n },
  ]);
  writer.u32(0);
}

/** A client as virtqemud is one before it asks for the volume, and the answers it goes by. */
function connected(daemon: StorageDaemon): StorageClient {
  const client = new StorageClient(RawClient.connect(daemon.socket));
  const supports = (feature: number) =>
    client.call(ConnectProcedure.SUPPORTS_FEATURE, (writer) => writer.i32(feature)).i32();
  const methods = client.call(ConnectProcedure.AUTH_LIST);
  assert.deepEqual([methods.u32(), methods.i32(), methods.remaining], [1, 0, 0]);
  assert.equal(supports(KEEPALIVE), 1);
  nothing(client.call(ConnectProcedure.OPEN, (writer) => {
    writer.optionalString("storage:///session");
    writer.u32(0);
  }));
  assert.equal(supports(REMOTE_EVENT_CALLBACK), 1);
  assert.equal(supports(REMOTE_CLOSE_CALLBACK), 1);
  nothing(client.call(ConnectProcedure.SET_IDENTITY, identity));
  return client;
}

function nothing(reader: XdrReader): void {
  assert.equal(reader.remaining, 0);
}

/** What virtqemud makes a disk of. */
interface Disk {
  readonly type: number;
  readonly capacity: bigint;
  readonly poolXml: string;
  readonly path: string;
}

/** The rest of the thirteen calls. */
function lookUp(client: StorageClient, poolName: string, volumeName: string): Disk {
  const pool = readPool(client.call(PoolProcedure.LOOKUP_BY_NAME, (writer) => writer.string(poolName)));
  assert.equal(client.call(PoolProcedure.IS_ACTIVE, (writer) => writePool(writer, pool)).i32(), 1);
  const volume = readVolume(client.call(VolumeProcedure.LOOKUP_BY_NAME, (writer) => {
    writePool(writer, pool);
    writer.string(volumeName);
  }));
  const info = client.call(VolumeProcedure.GET_INFO, (writer) => writeVolume(writer, volume));
  const disk = {
    type: info.i32(),
    capacity: info.u64(),
    poolXml: client.call(PoolProcedure.GET_XML_DESC, (writer) => poolFlags(writer, pool)).string(TEXT),
    path: client.call(VolumeProcedure.GET_PATH, (writer) => writeVolume(writer, volume)).string(TEXT),
  };
  nothing(client.call(ConnectProcedure.CLOSE));
  return disk;
}

/** The pool's XML without what is another one in each run. */
function shape(xml: string): string {
  return xml.replace(/\d+(?=<\/(?:capacity|allocation|available)>)/g, "N").replace(/[0-9a-f-]{36}/, "UUID")
    .replace(/\d+(?=<\/(?:owner|group)>)/g, "N");
}

function poolXml(path: string): string {
  return `<pool type='dir'>
  <name>p</name>
  <uuid>UUID</uuid>
  <capacity unit='bytes'>N</capacity>
  <allocation unit='bytes'>N</allocation>
  <available unit='bytes'>N</available>
  <source>
  </source>
  <target>
    <path>${path}</path>
    <permissions>
      <mode>0755</mode>
      <owner>N</owner>
      <group>N</group>
    </permissions>
  </target>
</pool>
`;
}

/** Makes a qcow2 volume over another one by writing its header: qemu-img need not be installed. */
function makeOverlay(daemon: StorageDaemon, client: StorageClient, pool: PoolRef, backing: string): void {
  const header = new Uint8Array(1024);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 2);
  view.setBigUint64(8, 512n);
  view.setUint32(16, backing.length);
  view.setUint32(20, 16);
  view.setBigUint64(24, 8n << 20n);
  header.set(new TextEncoder().encode(backing), 512);
  Deno.writeFileSync(`${daemon.place.directory}/pool/over.qcow2`, header);
  client.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool));
}

Deno.test("a guest's disk that is a volume is looked up in thirteen calls, raw or over another image", async () => {
  await using daemon = await StorageDaemon.start();
  using owner = daemon.open();
  const pool = makePool(daemon, owner);
  const directory = `${daemon.place.directory}/pool`;
  Deno.chmodSync(directory, 0o755);
  makeVolume(owner, pool, "v.raw", 8 << 20);
  makeOverlay(daemon, owner, pool, "v.raw");
  for (const name of ["v.raw", "over.qcow2"]) {
    using client = connected(daemon);
    const { type, capacity, poolXml: xml, path } = lookUp(client, "p", name);
    assert.deepEqual({ type, capacity, path }, {
      type: FILE,
      capacity: 8388608n,
      path: `${directory}/${name}`,
    });
    assert.equal(shape(xml), poolXml(directory));
  }
});

Deno.test("ten guests that are started at once each have their connection, and get their disk", async () => {
  await using daemon = await StorageDaemon.start();
  using owner = daemon.open();
  makeVolume(owner, makePool(daemon, owner), "v", 1 << 20);
  const clients = Array.from({ length: 10 }, () => connected(daemon));
  for (const client of clients) {
    using each = client;
    assert.equal(lookUp(each, "p", "v").capacity, 1048576n);
  }
});

Deno.test("a guest whose pool or volume is missing, or whose pool is not active, learns which", async () => {
  await using daemon = await StorageDaemon.start();
  using owner = daemon.open();
  const pool = makePool(daemon, owner);
  using client = connected(daemon);
  assert.equal(
    client.ask(PoolProcedure.LOOKUP_BY_NAME, (writer) => writer.string("nope")),
    "49/18 Storage pool not found: no storage pool with matching name 'nope'",
  );
  const missing = (writer: XdrWriter) => {
    writePool(writer, pool);
    writer.string("gone");
  };
  assert.equal(
    client.ask(VolumeProcedure.LOOKUP_BY_NAME, missing),
    "50/18 Storage volume not found: no storage vol with matching name 'gone'",
  );
  owner.call(PoolProcedure.DESTROY, (writer) => writePool(writer, pool));
  // virtqemud asks no further then: "storage pool 'p' containing volume 'v' is not active".
  assert.equal(client.call(PoolProcedure.IS_ACTIVE, (writer) => writePool(writer, pool)).i32(), 0);
});
