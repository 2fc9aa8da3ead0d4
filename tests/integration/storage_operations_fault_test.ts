// What is done in helper processes, with every system call of it failing once: the result is an answer or a
// refusal with a text, no descriptor stays open, nothing that is half passes for whole, and the next time it
// is done.

import assert from "node:assert/strict";
import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { SOCK_STREAM } from "../../src/os/constants.ts";
import {
  EACCES,
  EAGAIN,
  EDQUOT,
  EINTR,
  EIO,
  EMFILE,
  ENOLCK,
  ENOMEM,
  ENOSPC,
  EROFS,
  ESTALE,
  strerror,
} from "../../src/os/errno.ts";
import { storageSys } from "../../src/os/storage_sys.ts";
import type { Sys } from "../../src/os/sys.ts";
import { SystemError } from "../../src/os/system_error.ts";
import type { VolumeDefinition } from "../../src/storaged/model/volume_definition.ts";
import { storageOperations } from "../../src/storaged/operations/storage_operations.ts";
import { FrameKind, HEAD_SIZE, writeHead } from "../../src/storaged/volumes/frames.ts";
import { atPlace, type Place } from "../../src/storaged/volumes/place.ts";
import { VolumeReader } from "../../src/storaged/volumes/volume_reader.ts";
import { VolumeRows } from "../../src/storaged/volumes/volume_rows.ts";
import { WorkCancelled, type WorkContext } from "../../src/storaged/work/operation.ts";
import { parsePool } from "../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../src/storaged/xml/volume_xml.ts";
import { type FailingCall, FailingCalls } from "../support/failing_calls.ts";
import { kernel } from "../support/kernel.ts";
import { openDescriptors, openedSince } from "../support/open_descriptors.ts";
import { Scratch } from "../support/scratch.ts";

/** Of a call that is made over and over, the first so many are failed. */
const MOST_OF_A_CALL = 6;
/** What a call may fail with; one that is not here with these. */
const USUAL = [EIO, ENOMEM, ESTALE];
const PLAUSIBLE: Readonly<Record<string, readonly number[]>> = {
  open: [EMFILE, EIO, EACCES, ESTALE, ENOSPC, EROFS],
  openIn: [EMFILE, EIO, EACCES, ESTALE],
  close: [EIO, EINTR],
  pwrite: [ENOSPC, EIO, EDQUOT],
  write: [EIO],
  ftruncate: [ENOSPC, EIO],
  fsync: [EIO, ENOSPC, EDQUOT],
  allocate: [ENOSPC, EIO, EDQUOT],
  mkdir: [ENOSPC, EIO, EACCES, EROFS],
  unlink: [EIO, EROFS],
  renameNew: [ENOSPC, EIO, EROFS],
  hardLink: [ENOSPC, EIO],
  ofdLock: [ENOLCK, EAGAIN, EIO],
  setExtendedAttribute: [ENOSPC, EIO, EDQUOT],
  removeExtendedAttribute: [EIO, EROFS],
};
/** Calls that cannot fail. */
const SAFE = ["monotonic", "pid", "uid", "gid", "umask"];

const STORAGE = storageSys();
const BEFORE = "what was in it before";
const AFTER = "what is uploaded then!";

/** One operation in a directory of its own. */
interface Case {
  readonly name: string;
  /** Makes what it needs. @returns what is to be done */
  readonly prepare: (stage: Stage) => (calls: FailingCalls) => unknown;
  /** What has to hold when it was refused. */
  readonly refused?: (stage: Stage, fault: FailingCall) => void;
  /** What has to hold when it was done all the same. */
  readonly done?: (stage: Stage) => void;
}

/** A directory with a pool. */
class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly pool = parsePool(
    `<pool type='dir'><name>p</name><target><path>${this.scratch.file("pool")}</path></target></pool>`,
  );
  readonly #sockets: number[] = [];

  constructor() {
    Deno.mkdirSync(this.directory);
  }

  get directory(): string {
    return this.scratch.file("pool");
  }

  get place(): Place {
    return { path: this.directory, identity: undefined };
  }

  get names(): string[] {
    return [...Deno.readDirSync(this.directory)].map(({ name }) => name).sort();
  }

  volume(name: string, capacity: number): VolumeDefinition {
    const xml = `<volume><name>${name}</name><capacity>${capacity}</capacity></volume>`;
    const path = `${this.directory}/${name}`;
    return { ...parseVolume(this.pool, xml, "required"), key: path, path };
  }

  write(name: string, text: string): void {
    Deno.writeTextFileSync(`${this.directory}/${name}`, text);
  }

  read(name: string): string {
    return Deno.readTextFileSync(`${this.directory}/${name}`);
  }

  /** What a list says of a volume. */
  seen(name: string): VolumeDefinition | undefined {
    const found = atPlace(
      kernel,
      STORAGE,
      this.place,
      (open) => new VolumeReader(kernel, STORAGE).read(open, name),
    );
    return found.kind === "done" ? found.value : undefined;
  }

  /** Both ends of a stream; they are closed with the stage. */
  stream(): [near: number, far: number] {
    const pair = kernel.socketPair(SOCK_STREAM);
    assert.ok(typeof pair !== "number");
    this.#sockets.push(...pair);
    return pair;
  }

  context(sys: Sys, descriptors: readonly number[] = [], batch = (_bytes: Uint8Array) => {}): WorkContext {
    return {
      sys,
      descriptors,
      batch,
      progress() {},
      checkpoint() {},
      alive() {},
      run: () => ({ kind: "missing", program: "none" }),
    };
  }

  [Symbol.dispose](): void {
    for (const fd of this.#sockets) kernel.close(fd);
    this.scratch[Symbol.dispose]();
  }
}

function operations(calls: FailingCalls) {
  return storageOperations(calls.around(STORAGE));
}

/** Something that a volume has to become, of a pool's operations. */
function create(stage: Stage, name: string, from?: string) {
  const volume = stage.volume(name, 70_000);
  const input = from === undefined ? undefined : { ...stage.volume(from, BEFORE.length), format: "raw" };
  return (calls: FailingCalls) =>
    operations(calls).createVolume.run({
      place: stage.place,
      volume: { ...volume, format: "raw" },
      reserved: ".virtstoraged-new-host-1",
      input,
      preallocateMetadata: false,
      reflink: false,
      ...from === undefined ? {} : { from: stage.place },
    }, stage.context(calls.around(kernel)));
}

/** Nothing of a new volume is left, unless removing it is what failed. */
function nothingLeft(stage: Stage, { call }: FailingCall): void {
  const left = stage.names.filter((name) => name !== "old");
  // A name that it had already is a volume that is whole: only its description could not be read.
  assert.ok(left.length === 0 || call === "unlink" || left[0] === "new", left.join());
}

function upload(stage: Stage): (calls: FailingCalls) => unknown {
  stage.write("v", BEFORE);
  const [near, far] = stage.stream();
  const bytes = new TextEncoder().encode(AFTER);
  const frames = new Uint8Array(2 * HEAD_SIZE + bytes.length);
  writeHead(frames, FrameKind.DATA, bytes.length);
  frames.set(bytes, HEAD_SIZE);
  writeHead(frames.subarray(HEAD_SIZE + bytes.length), FrameKind.END, 0);
  assert.equal(kernel.write(near, frames), frames.length);
  kernel.shutdown(near);
  return (calls) =>
    operations(calls).uploadVolume.run(
      { place: stage.place, name: "v", offset: 0, length: 0, sparse: false },
      stage.context(calls.around(kernel), [far]),
    );
}

const CASES: readonly Case[] = [
  {
    name: "a raw volume is made",
    prepare: (stage) => create(stage, "new"),
    refused: nothingLeft,
  },
  {
    name: "a raw volume is copied",
    prepare: (stage) => {
      stage.write("old", BEFORE);
      return create(stage, "new", "old");
    },
    refused: (stage, fault) => {
      nothingLeft(stage, fault);
      assert.equal(stage.read("old"), BEFORE);
    },
  },
  {
    name: "a volume is uploaded to",
    prepare: upload,
    refused: (stage) => {
      // Half of it is known as that.
      if (stage.read("v") !== BEFORE) assert.equal(stage.seen("v")?.interrupted, true);
    },
    done: (stage) => {
      assert.equal(stage.read("v").startsWith(AFTER), true);
      assert.equal(stage.seen("v")?.interrupted, false);
    },
  },
  {
    name: "a volume is downloaded",
    prepare: (stage) => {
      stage.write("v", BEFORE);
      const [, far] = stage.stream();
      return (calls) =>
        operations(calls).downloadVolume.run(
          { place: stage.place, name: "v", offset: 0, length: 0, sparse: true },
          stage.context(calls.around(kernel), [far]),
        );
    },
  },
  {
    name: "a volume is looked at",
    prepare: (stage) => {
      stage.write("v", BEFORE);
      const volume = stage.volume("v", 1);
      return (calls) =>
        operations(calls).updateVolume.run(
          { place: stage.place, volume, file: "v" },
          stage.context(calls.around(kernel)),
        );
    },
  },
  {
    name: "a volume is resized",
    prepare: (stage) => {
      stage.write("v", BEFORE);
      const volume = { ...stage.volume("v", BEFORE.length), format: "raw" };
      return (calls) =>
        operations(calls).resizeVolume.run(
          { place: stage.place, volume, capacity: 100_000n, allocate: true },
          stage.context(calls.around(kernel)),
        );
    },
    refused: (stage) => assert.equal(stage.read("v").slice(0, BEFORE.length), BEFORE),
  },
  {
    name: "a volume is wiped",
    prepare: (stage) => {
      stage.write("v", BEFORE);
      const volume = stage.volume("v", BEFORE.length);
      return (calls) =>
        operations(calls).wipeVolume.run(
          { place: stage.place, volume: { ...volume, allocation: 17n }, algorithm: 0 },
          stage.context(calls.around(kernel)),
        );
    },
  },
  {
    name: "a volume is deleted",
    prepare: (stage) => {
      stage.write("v", BEFORE);
      const volume = stage.volume("v", 1);
      return (calls) =>
        operations(calls).deleteVolume.run(
          { place: stage.place, volume },
          stage.context(calls.around(kernel)),
        );
    },
  },
  {
    name: "a list is read",
    prepare: (stage) => {
      for (const name of ["a", "b", "c"]) stage.write(name, BEFORE);
      stage.write(".virtstoraged-new-host-2", "left");
      return (calls) => {
        const rows = new VolumeRows(stage.directory);
        const context = stage.context(
          calls.around(kernel),
          [],
          (bytes) => rows.add(bytes.slice()),
        );
        const result = operations(calls).refreshPool.run({ place: stage.place, host: "host" }, context);
        // A volume is left out of a list only when it could not be opened.
        const absent = 3 - rows.size;
        assert.ok(absent === 0 || absent === 1 && calls.fired, [...rows.names].join());
        return result;
      };
    },
  },
  {
    name: "a pool is built and started",
    prepare: (stage) => {
      Deno.removeSync(stage.directory);
      return (calls) =>
        operations(calls).openPool.run(
          { pool: stage.pool, build: "plain", how: "start", host: "host" },
          stage.context(calls.around(kernel)),
        );
    },
  },
  {
    name: "a pool is removed",
    prepare: (stage) => (calls) =>
      operations(calls).removePool.run(stage.pool, stage.context(calls.around(kernel))),
  },
];

/** What came of a run: a value, a refusal with a text, or something that nobody has foreseen. */
function outcome(work: () => unknown): "done" | "refused" {
  try {
    work();
    return "done";
  } catch (error) {
    if (error instanceof WorkCancelled || error instanceof SystemError) return "refused";
    if (error instanceof RpcFailure && error.message !== "" && error.code > 0) return "refused";
    throw error;
  }
}

/** Every fault that can come up in a case. */
function faultsOf({ prepare }: Case): FailingCall[] {
  using stage = new Stage();
  const calls = new FailingCalls(undefined);
  prepare(stage)(calls);
  return [...calls.counts].filter(([call]) => !SAFE.includes(call)).flatMap(([call, count]) =>
    Array.from({ length: Math.min(count, MOST_OF_A_CALL) }, (_, index) => index + 1)
      .flatMap((nth) => (PLAUSIBLE[call] ?? USUAL).map((errno) => ({ call, nth, errno })))
  );
}

function check({ prepare, refused = () => {}, done = () => {} }: Case, fault: FailingCall): void {
  using stage = new Stage();
  const work = prepare(stage);
  const before = openDescriptors();
  const calls = new FailingCalls(fault);
  const result = outcome(() => work(calls));
  assert.equal(calls.fired, true);
  assert.deepEqual(openedSince(before), []);
  if (result === "refused") refused(stage, fault);
  else done(stage);
}

for (const each of CASES) {
  Deno.test(`each call fails once while ${each.name}: it is told, and nothing is left over`, () => {
    const faults = faultsOf(each);
    assert.ok(faults.length >= 3, `only ${faults.length} faults can come up`);
    for (const fault of faults) {
      try {
        check(each, fault);
      } catch (error) {
        const { call, nth, errno } = fault;
        throw new Error(`${call} #${nth} fails with '${strerror(errno)}': ${error}`, { cause: error });
      }
    }
  });
}
