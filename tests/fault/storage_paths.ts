import { SIGHUP } from "../../src/os/constants.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import {
  ConnectProcedure,
  PoolProcedure,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import { MINUTE_OF_TURNS, type Outcome, type Part } from "./scripted_client.ts";
import { StorageActor } from "./storage_actor.ts";
import type { StorageDaemonStage } from "./storage_stage.ts";

const UUID = "00010203-0405-0607-0809-0a0b0c0d0e0f";
const POOL = { name: "p", uuid: UUID };
const TEXT = "sixteen letters!";

/** A way through the running daemon. */
export interface StoragePath {
  readonly name: string;
  /** Must succeed. */
  readonly prepare: (actor: StorageActor, directory: string) => Part<void>;
  /** Is done under faults. */
  readonly act: (actor: StorageActor, directory: string, stage: StorageDaemonStage) => Part<Outcome>;
}

function poolDirectory(directory: string): string {
  return `${directory}/pool`;
}

function define(actor: StorageActor, directory: string): Part<Outcome> {
  return actor.ask(PoolProcedure.DEFINE_XML, (writer) => {
    const path = poolDirectory(directory);
    writer.string(
      `<pool type='dir'><name>p</name><uuid>${UUID}</uuid><target><path>${path}</path></target></pool>`,
    );
    writer.u32(0);
  });
}

/** A procedure of the pool, with flags. */
function ofPool(procedure: number, flags = true) {
  return (actor: StorageActor): Part<Outcome> =>
    actor.ask(procedure, (writer) => {
      writePool(writer, POOL);
      if (flags) writer.u32(0);
    });
}

const build = ofPool(PoolProcedure.BUILD);
const start = ofPool(PoolProcedure.CREATE);
const refresh = ofPool(PoolProcedure.REFRESH);
const stop = ofPool(PoolProcedure.DESTROY, false);
const remove = ofPool(PoolProcedure.DELETE);
const undefine = ofPool(PoolProcedure.UNDEFINE, false);

function writeTheVolume(writer: XdrWriter, directory: string): void {
  writeVolume(writer, { pool: "p", name: "v", key: `${poolDirectory(directory)}/v` });
}

function create(actor: StorageActor): Part<Outcome> {
  return actor.ask(VolumeProcedure.CREATE_XML, (writer) => {
    writePool(writer, POOL);
    writer.string(`<volume><name>v</name><capacity>${TEXT.length}</capacity></volume>`);
    writer.u32(0);
  });
}

function deleteVolume(actor: StorageActor, directory: string): Part<Outcome> {
  return actor.ask(VolumeProcedure.DELETE, (writer) => {
    writeTheVolume(writer, directory);
    writer.u32(0);
  });
}

function whole(directory: string): (writer: XdrWriter) => void {
  return (writer) => {
    writeTheVolume(writer, directory);
    writer.u64(0n);
    writer.u64(0n);
    writer.u32(0);
  };
}

function* must(what: string, doing: Part<Outcome>): Part<void> {
  const outcome = yield* doing;
  if (outcome.kind !== "ok") throw new Error(`${what}: ${JSON.stringify(outcome)}`);
}

function* defined(actor: StorageActor, directory: string): Part<void> {
  yield* must("define", define(actor, directory));
}

function* built(actor: StorageActor, directory: string): Part<void> {
  yield* defined(actor, directory);
  yield* must("build", build(actor));
}

function* started(actor: StorageActor, directory: string): Part<void> {
  yield* built(actor, directory);
  yield* must("start", start(actor));
}

function* filled(actor: StorageActor, directory: string): Part<void> {
  yield* started(actor, directory);
  yield* must("create", create(actor));
}

/** Takes away whatever a path has left; refusals are because it is not there, or a job has not ended yet. */
export function* tidy(actor: StorageActor): Part<void> {
  for (const each of [stop, undefine]) {
    for (let turn = 0;; turn++) {
      const outcome = yield* each(actor);
      if (outcome.kind === "closed" || outcome.kind === "silent") {
        throw new Error(`Tidying up: ${outcome.kind}`);
      }
      if (outcome.kind === "ok" || !/is used by a job/.test(outcome.message)) break;
      if (turn > MINUTE_OF_TURNS) throw new Error(`A job does not end: ${outcome.message}`);
      yield 5;
    }
  }
}

/** All that is usually done with a pool works. */
export function* deepest(actor: StorageActor, directory: string): Part<void> {
  yield* started(actor, directory);
  // A path may have left it.
  yield* deleteVolume(actor, directory);
  yield* must("create", create(actor));
  yield* must("upload", actor.upload(VolumeProcedure.UPLOAD, whole(directory), TEXT));
  yield* must("refresh", refresh(actor));
  yield* must("delete", deleteVolume(actor, directory));
  yield* must("stop", stop(actor));
  yield* must("undefine", undefine(actor));
}

function* nothing(): Part<void> {}

/** Every way through the running daemon. */
export const storagePaths: readonly StoragePath[] = [
  {
    name: "connect",
    prepare: nothing,
    *act(_actor, _directory, stage) {
      const other = new StorageActor(stage.socket);
      const outcome = yield* other.begin();
      other.close();
      return outcome;
    },
  },
  { name: "define a pool", prepare: nothing, act: define },
  { name: "build a pool", prepare: defined, act: build },
  { name: "start a pool", prepare: built, act: start },
  { name: "refresh a pool", prepare: filled, act: refresh },
  { name: "stop a pool", prepare: started, act: stop },
  {
    name: "delete a pool",
    *prepare(actor, directory) {
      yield* built(actor, directory);
    },
    act: remove,
  },
  { name: "undefine a pool", prepare: built, act: undefine },
  {
    name: "start a pool with the host",
    prepare: built,
    act: (actor) =>
      actor.ask(PoolProcedure.SET_AUTOSTART, (writer) => {
        writePool(writer, POOL);
        writer.i32(1);
      }),
  },
  { name: "create a volume", prepare: started, act: create },
  { name: "delete a volume", prepare: filled, act: deleteVolume },
  {
    name: "upload",
    prepare: filled,
    act: (actor, directory) => actor.upload(VolumeProcedure.UPLOAD, whole(directory), TEXT),
  },
  {
    name: "download",
    prepare: filled,
    act: (actor, directory) => actor.download(VolumeProcedure.DOWNLOAD, whole(directory)),
  },
  {
    name: "reload",
    prepare: built,
    *act(actor, _directory, stage) {
      stage.signal(SIGHUP);
      yield 5;
      return yield* actor.ask(ConnectProcedure.GET_URI);
    },
  },
];
