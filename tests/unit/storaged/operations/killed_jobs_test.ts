// kill -9 at each step of each job: its process ends at its first call of the kernel, at its second, and
// so on. Then a new daemon reads the pool: no half volume is taken for a whole one, and nothing is left.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { type StorageSys, storageSys } from "../../../../src/os/storage_sys.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { storageOperations } from "../../../../src/storaged/operations/storage_operations.ts";
import { FrameKind, HEAD_SIZE, writeHead } from "../../../../src/storaged/volumes/frames.ts";
import { reservedName } from "../../../../src/storaged/volumes/new_file.ts";
import { VolumeRows } from "../../../../src/storaged/volumes/volume_rows.ts";
import type { WorkContext } from "../../../../src/storaged/work/operation.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";
import { kernel } from "../../../support/kernel.ts";
import { openHere, Scratch } from "../../../support/scratch.ts";

const REAL = storageSys();
const HOST = "0123456789ab";
const SIZE = 1 << 20;

/** The process is not there any more. */
class Killed extends Error {}

/** A process that is killed before its n-th call of the kernel; the kernel then closes what it had open. */
class Mortal {
  readonly sys: Sys;
  readonly storage: StorageSys;
  #left: number;

  constructor(calls: number) {
    this.#left = calls;
    this.sys = this.#counted(kernel);
    this.storage = this.#counted(REAL);
  }

  #counted<Surface extends object>(surface: Surface): Surface {
    return new Proxy(surface, {
      get: (target, name, receiver) => {
        const value: unknown = Reflect.get(target, name, receiver);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          if (this.#left-- <= 0) throw new Killed();
          return Reflect.apply(value, target, args);
        };
      },
    });
  }

  context(descriptors: readonly number[], batch: (bytes: Uint8Array) => void = () => {}): WorkContext {
    return {
      sys: this.sys,
      descriptors,
      batch,
      progress() {},
      alive() {},
      checkpoint: () => {
        if (this.#left <= 0) throw new Killed();
      },
      run: ({ argv: [program = "", ...args], descriptors: given = [] }) => {
        if (this.#left-- <= 0) throw new Killed();
        const { status, stdout, stderr } = spawnSync(program, args, {
          stdio: ["ignore", "pipe", "pipe", ...given],
          encoding: "utf8",
        });
        return { kind: "exited", code: status ?? -1, stdout, stderr };
      },
    };
  }
}

/** A pool with a raw volume `v` and an image `i.qcow2`. */
class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly pool = parsePool(
    `<pool type='dir'><name>p</name><target><path>${this.scratch.path}</path></target></pool>`,
  );
  readonly place = { path: this.scratch.path, identity: undefined };

  constructor() {
    Deno.writeFileSync(this.path("v"), new Uint8Array(SIZE).fill(0x76));
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", this.path("i.qcow2"), "1M"]);
  }

  path(name: string): string {
    return this.scratch.file(name);
  }

  volume(name: string, more = "", capacity = SIZE) {
    const xml = `<volume><name>${name}</name><capacity>${capacity}</capacity>${more}</volume>`;
    const path = this.path(name);
    return { ...parseVolume(this.pool, xml, "required"), path, key: path };
  }

  /** What a new daemon finds: names of volumes, and whether each is taken for whole. */
  found(): Record<string, boolean> {
    const rows = new VolumeRows(this.scratch.path);
    const { refreshPool } = storageOperations(REAL);
    const context = new Mortal(Infinity).context([], (bytes) => rows.add(bytes.slice()));
    const listed = refreshPool.run({ place: this.place, host: HOST }, context);
    assert.equal(listed.kind, "done");
    return Object.fromEntries([...rows.names].map((name) => [name, rows.find(name)?.interrupted === false]));
  }

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }
}

type Operations = ReturnType<typeof storageOperations>;

/**
 * Kills a job before each of its calls until it comes to its end.
 *
 * @param look is told whether the job came to its end, and what a new daemon finds
 * @returns before how many calls it was killed
 */
function killEverywhere(
  job: (operations: Operations, mortal: Mortal, stage: Stage) => unknown,
  look: (stage: Stage, ended: boolean, found: Record<string, boolean>) => void,
): number {
  for (let calls = 0;; calls++) {
    using stage = new Stage();
    const before = openHere();
    const mortal = new Mortal(calls);
    let ended = false;
    try {
      job(storageOperations(mortal.storage), mortal, stage);
      ended = true;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    for (const fd of openHere().filter((each) => !before.includes(each))) kernel.close(Number(fd));
    look(stage, ended, stage.found());
    const hidden = [...Deno.readDirSync(stage.scratch.path)].filter(({ name }) => name.startsWith("."));
    assert.deepEqual(hidden, [], `something is left after ${calls} calls`);
    if (ended) return calls;
  }
}

const OLD = { v: true, "i.qcow2": true };

/** A new volume is not there, or it is there and whole. */
function wholeOrNot(isWhole: (path: string) => boolean) {
  return (stage: Stage, ended: boolean, found: Record<string, boolean>) => {
    const { new: made, ...others } = found;
    assert.deepEqual(others, OLD);
    if (ended) assert.equal(made, true);
    if (made !== undefined) assert.equal(isWhole(stage.path("new")), true);
  };
}

function create(more: string, input: "v" | "i.qcow2" | undefined, capacity = SIZE) {
  return ({ createVolume }: Operations, mortal: Mortal, stage: Stage) =>
    createVolume.run({
      place: stage.place,
      ...input === undefined ? {} : { from: stage.place },
      volume: stage.volume("new", more, capacity),
      reserved: reservedName(HOST),
      input: input === undefined
        ? undefined
        : stage.volume(input, input === "v" ? "" : "<target><format type='qcow2'/></target>"),
      preallocateMetadata: false,
      reflink: false,
    }, mortal.context([]));
}

const QCOW2 = "<target><format type='qcow2'/></target>";

function isImage(path: string): boolean {
  const info = JSON.parse(execFileSync("qemu-img", ["info", "--output=json", path], { encoding: "utf8" }));
  return info.format === "qcow2" && info["virtual-size"] === SIZE &&
    spawnSync("qemu-img", ["check", "-q", path]).status === 0;
}

Deno.test("a raw volume whose making is killed at any call is not there, or whole", () => {
  const calls = killEverywhere(
    create("", undefined),
    wholeOrNot((path) => Deno.statSync(path).size === SIZE),
  );
  assert.ok(calls > 10);
});

Deno.test("an image whose making is killed at any call is not there, or whole", () => {
  assert.ok(killEverywhere(create(QCOW2, undefined), wholeOrNot(isImage)) > 10);
});

Deno.test("a copy that is killed at any call is not there, or whole", () => {
  const whole = (path: string) => Deno.readFileSync(path).every((byte) => byte === 0x76);
  assert.ok(killEverywhere(create("", "v"), wholeOrNot(whole)) > 10);
  assert.ok(killEverywhere(create(QCOW2, "i.qcow2"), wholeOrNot(isImage)) > 10);
});

Deno.test("a volume whose resize is killed at any call has the old size or the new one", () => {
  killEverywhere(
    ({ resizeVolume }, mortal, stage) =>
      resizeVolume.run({
        place: stage.place,
        volume: stage.volume("v"),
        capacity: BigInt(2 * SIZE),
        allocate: true,
      }, mortal.context([])),
    (stage, ended, found) => {
      assert.deepEqual(found, OLD);
      const bytes = Deno.readFileSync(stage.path("v"));
      assert.ok(bytes.length === 2 * SIZE || !ended && bytes.length === SIZE);
      assert.ok(bytes.subarray(0, SIZE).every((byte) => byte === 0x76));
    },
  );
});

/** What is neither as it was nor as it is to be is not whole. */
function oldNewOrHalf(old: number, wanted: number) {
  return (stage: Stage, ended: boolean, found: Record<string, boolean>) => {
    const bytes = Deno.readFileSync(stage.path("v"));
    const all = (value: number) => bytes.length === SIZE && bytes.every((byte) => byte === value);
    if (ended) assert.equal(all(wanted) && found["v"], true);
    else if (found["v"] === true) assert.ok(all(old) || all(wanted));
  };
}

Deno.test("a volume whose wiping is killed at any call is as it was, wiped, or not whole", () => {
  let halves = 0;
  killEverywhere(
    ({ wipeVolume }, mortal, stage) =>
      wipeVolume.run({
        place: stage.place,
        volume: { ...stage.volume("v"), allocation: BigInt(SIZE) },
        algorithm: 0,
      }, mortal.context([])),
    (stage, ended, found) => {
      oldNewOrHalf(0x76, 0)(stage, ended, found);
      if (found["v"] === false) halves++;
    },
  );
  assert.ok(halves > 0);
});

/** The helper's end of a stream with everything in it. */
function stream(byte: number): number {
  const pair = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof pair !== "number");
  const [near, far] = pair;
  const frames = new Uint8Array(2 * HEAD_SIZE + 4096);
  writeHead(frames.subarray(0, HEAD_SIZE), FrameKind.DATA, 4096);
  frames.fill(byte, HEAD_SIZE, HEAD_SIZE + 4096);
  writeHead(frames.subarray(HEAD_SIZE + 4096), FrameKind.END, 0);
  assert.equal(kernel.write(near, frames), frames.length);
  kernel.close(near);
  return far;
}

Deno.test("a volume whose upload is killed at any call is as it was, has everything, or is not whole", () => {
  let halves = 0;
  killEverywhere(
    ({ uploadVolume }, mortal, stage) =>
      uploadVolume.run(
        { place: stage.place, name: "v", offset: 0, length: 0, sparse: false },
        mortal.context([stream(0x6e)]),
      ),
    (stage, ended, found) => {
      const first = Deno.readFileSync(stage.path("v")).subarray(0, 4096);
      const all = (value: number) => first.every((byte) => byte === value);
      if (ended) assert.equal(all(0x6e) && found["v"], true);
      else if (found["v"] === true) assert.ok(all(0x76) || all(0x6e));
      else halves++;
    },
  );
  assert.ok(halves > 0);
});

Deno.test("a volume whose deletion is killed at any call is there, or not", () => {
  killEverywhere(
    ({ deleteVolume }, mortal, stage) =>
      deleteVolume.run({ place: stage.place, volume: stage.volume("v") }, mortal.context([])),
    (_stage, ended, found) =>
      assert.deepEqual(found, ended || found["v"] === undefined ? { "i.qcow2": true } : OLD),
  );
});

Deno.test("a pool whose building, start or refresh is killed at any call starts all the same", () => {
  killEverywhere(({ openPool }, mortal, stage) => {
    const path = `${stage.scratch.path}/deep/er`;
    const pool = { ...stage.pool, target: { ...stage.pool.target, path } };
    return openPool.run({ pool, build: "plain", how: "start", host: HOST }, mortal.context([]));
  }, (stage) => {
    const path = `${stage.scratch.path}/deep/er`;
    const pool = { ...stage.pool, target: { ...stage.pool.target, path } };
    const { openPool } = storageOperations(REAL);
    const listing = openPool.run(
      { pool, build: "plain", how: "start", host: HOST },
      new Mortal(Infinity).context([]),
    );
    assert.deepEqual(listing?.removed, []);
  });
});
