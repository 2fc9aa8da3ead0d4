// What the daemon knows of a volume is as old as its last look at the file, which guests, programs and other
// calls change meanwhile: nothing that could lose data is decided by what it remembers.

import assert from "node:assert/strict";
import { MessageStatus, MessageType } from "../../src/chassis/wire/frame.ts";
import { O_RDWR } from "../../src/os/constants.ts";
import { storageSys } from "../../src/os/storage_sys.ts";
import type { PoolRef, VolumeRef } from "../../src/storaged/model/storage_service.ts";
import {
  PoolProcedure,
  readVolume,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import { kernel } from "../support/kernel.ts";
import {
  beginDownload,
  makePool,
  makeVolume,
  poolFlags,
  range,
  volumeFlags,
} from "../support/storage_calls.ts";
import { type StorageClient, StorageDaemon } from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";

const MIB = 1 << 20;
const MARK = "user.virtstoraged.upload";
const DELTA = 2;
const SHRINKS = "8/18 invalid argument: Can't shrink capacity below current capacity unless shrink flag " +
  "explicitly specified";
const HALF = "55/18 Requested operation is not valid: volume 'v' is not whole: an upload to it, or its " +
  "wiping, did not come to its end";

/** A daemon with a volume `v` of one mebibyte. */
class Stage implements AsyncDisposable {
  readonly #daemon: StorageDaemon;
  readonly client: StorageClient;
  readonly pool: PoolRef;
  readonly volume: VolumeRef;

  private constructor(daemon: StorageDaemon) {
    this.#daemon = daemon;
    this.client = daemon.open();
    this.pool = makePool(daemon, this.client);
    this.volume = makeVolume(this.client, this.pool, "v", MIB);
  }

  static async start(): Promise<Stage> {
    return new Stage(await StorageDaemon.start());
  }

  get path(): string {
    return `${this.#daemon.place.directory}/pool/v`;
  }

  /** Somebody else writes the file, as a guest does. */
  written(bytes: number): void {
    Deno.writeFileSync(this.path, new Uint8Array(bytes).fill(0x76));
  }

  /** The file gets the mark of an upload that is under way, or loses it. */
  mark(marked: boolean): void {
    const storage = storageSys();
    const fd = kernel.open(this.path, O_RDWR, 0);
    const result = marked
      ? storage.setExtendedAttribute(fd, MARK)
      : storage.removeExtendedAttribute(fd, MARK);
    kernel.close(fd);
    assert.equal(result, 0);
  }

  refresh(): void {
    this.client.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, this.pool));
  }

  resize(bytes: number, flags: number): string {
    const answer = this.client.ask(VolumeProcedure.RESIZE, (writer) => {
      writeVolume(writer, this.volume);
      writer.u64(BigInt(bytes));
      writer.u32(flags);
    });
    return typeof answer === "string" ? answer : "done";
  }

  clone(): string {
    const answer = this.client.ask(VolumeProcedure.CREATE_XML_FROM, (writer) => {
      writePool(writer, this.pool);
      writer.string("<volume><name>copy</name><capacity>1</capacity></volume>");
      writeVolume(writer, this.volume);
      writer.u32(0);
    });
    return typeof answer === "string" ? answer : readVolume(answer).name;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.#daemon[Symbol.asyncDispose]();
  }
}

Deno.test("a volume that was written longer is wiped to its end", async () => {
  await using stage = await Stage.start();
  stage.written(3 * MIB);
  stage.client.call(VolumeProcedure.WIPE, (writer) => volumeFlags(writer, stage.volume));
  const bytes = Deno.readFileSync(stage.path);
  assert.equal(bytes.length, 3 * MIB);
  assert.equal(bytes.findIndex((byte) => byte !== 0), -1);
});

Deno.test("a volume that was written longer is not cut by a resize that is to make it larger", async () => {
  await using stage = await Stage.start();
  stage.written(5 * MIB);
  assert.equal(stage.resize(6 * MIB, 0), "done");
  assert.equal(Deno.statSync(stage.path).size, 6 * MIB);
  stage.written(9 * MIB);
  assert.equal(stage.resize(MIB, DELTA), "done");
  assert.equal(Deno.statSync(stage.path).size, 10 * MIB);
  Deno.truncateSync(stage.path, 20 * MIB);
  assert.equal(stage.resize(15 * MIB, 0), SHRINKS);
  assert.equal(Deno.statSync(stage.path).size, 20 * MIB);
});

Deno.test("a volume that a refresh saw in the middle of an upload is served when that has ended", async () => {
  await using stage = await Stage.start();
  stage.mark(true);
  stage.refresh();
  assert.equal(stage.clone(), HALF);
  stage.mark(false);
  assert.equal(stage.clone(), "copy");
  stage.mark(true);
  stage.refresh();
  stage.mark(false);
  beginDownload(stage.client, stage.volume);
  // How much of it the first message has depends on what its reader had by then.
  const { header, payload } = stage.client.raw.receive();
  assert.deepEqual([header.type, header.status], [MessageType.STREAM, MessageStatus.CONTINUE]);
  assert.ok(payload.length > 0);
});

Deno.test("a volume that is half is not sent, whatever the list has of it", async () => {
  await using stage = await Stage.start();
  stage.mark(true);
  const { raw } = stage.client;
  raw.send(remoteFrame(VolumeProcedure.DOWNLOAD, 77, (writer) => range(writer, stage.volume)));
  assert.notEqual(typeof answerOf(raw.receive()), "string");
  const { header, payload } = raw.receive();
  assert.equal(header.type, MessageType.STREAM);
  assert.equal(answerOf({ header, payload }), HALF);
});
