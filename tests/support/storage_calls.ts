import assert from "node:assert/strict";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { PoolRef, VolumeRef } from "../../src/storaged/model/storage_service.ts";
import {
  PoolProcedure,
  readPool,
  readVolume,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import type { StorageClient, StorageDaemon } from "./storage_daemon.ts";
import { answerOf, remoteFrame } from "./storage_stage.ts";

// Calls that tests of a whole storage daemon make again and again.

/** Makes a pool in the daemon's place and starts it. */
export function makePool(daemon: StorageDaemon, client: StorageClient): PoolRef {
  const path = `${daemon.place.directory}/pool`;
  Deno.mkdirSync(path);
  return makePoolAt(client, "p", path);
}

/** Defines a pool in a directory. */
export function definePool(client: StorageClient, name: string, path: string): PoolRef {
  return readPool(client.call(PoolProcedure.DEFINE_XML, (writer) => {
    writer.string(`<pool type='dir'><name>${name}</name><target><path>${path}</path></target></pool>`);
    writer.u32(0);
  }));
}

/** Makes a pool in a directory that is there, and starts it. */
export function makePoolAt(client: StorageClient, name: string, path: string): PoolRef {
  const pool = definePool(client, name, path);
  client.call(PoolProcedure.CREATE, (writer) => poolFlags(writer, pool));
  return pool;
}

/** A pool with no flags, as arguments. */
export function poolFlags(writer: XdrWriter, pool: PoolRef): void {
  writePool(writer, pool);
  writer.u32(0);
}

/** Makes a raw volume. */
export function makeVolume(client: StorageClient, pool: PoolRef, name: string, bytes: number): VolumeRef {
  return readVolume(client.call(VolumeProcedure.CREATE_XML, (writer) => {
    writePool(writer, pool);
    writer.string(`<volume><name>${name}</name><capacity>${bytes}</capacity></volume>`);
    writer.u32(0);
  }));
}

/** All of a volume, as arguments of a stream's call. */
export function range(writer: XdrWriter, volume: VolumeRef, flags = 0): void {
  writeVolume(writer, volume);
  writer.u64(0n);
  writer.u64(0n);
  writer.u32(flags);
}

/** Flag of a stream that skips holes. */
export const SPARSE = 1;

/** Begins an upload with the serial 77. */
export function beginUpload(client: StorageClient, volume: VolumeRef, flags = 0): void {
  beginStream(client, VolumeProcedure.UPLOAD, volume, flags);
}

/** Begins a download with the serial 77. */
export function beginDownload(client: StorageClient, volume: VolumeRef, flags = 0): void {
  beginStream(client, VolumeProcedure.DOWNLOAD, volume, flags);
}

function beginStream(client: StorageClient, procedure: number, volume: VolumeRef, flags: number): void {
  client.raw.send(remoteFrame(procedure, 77, (writer) => range(writer, volume, flags)));
  assert.notEqual(typeof answerOf(client.raw.receive()), "string");
}

/** Sends a hole on the upload that {@link beginUpload} has begun. */
export function sendHole(client: StorageClient, bytes: bigint): void {
  const hole = (writer: XdrWriter) => {
    writer.i64(bytes);
    writer.u32(0);
  };
  client.raw.send(remoteFrame(VolumeProcedure.UPLOAD, 77, hole, MessageType.STREAM_HOLE));
}

/** Sends text on the upload that {@link beginUpload} has begun. */
export function sendPacket(client: StorageClient, text: string): void {
  const bytes = new TextEncoder().encode(text);
  const opaque = (writer: XdrWriter) => writer.opaque(bytes);
  client.raw.send(
    remoteFrame(VolumeProcedure.UPLOAD, 77, opaque, MessageType.STREAM, MessageStatus.CONTINUE),
  );
}

/** Names of a pool's volumes, sorted. */
export function volumeNames(client: StorageClient, pool: PoolRef): string[] {
  const reader = client.call(PoolProcedure.LIST_VOLUMES, (writer) => {
    writePool(writer, pool);
    writer.i32(100);
  });
  return Array.from({ length: reader.u32() }, () => reader.string(1000)).sort();
}

/** Ends the upload that {@link beginUpload} has begun. @returns the status that the daemon answers with */
export function endUpload(client: StorageClient, status: number = MessageStatus.OK): number {
  client.raw.send(remoteFrame(VolumeProcedure.UPLOAD, 77, () => {}, MessageType.STREAM, status));
  return client.raw.receive().header.status;
}

/** A volume with no flags, as arguments. */
export function volumeFlags(writer: XdrWriter, volume: VolumeRef): void {
  writeVolume(writer, volume);
  writer.u32(0);
}
