// Places that others may write into: whoever puts a link into the place of a volume right before a program
// opens it gets nothing read and nothing written that is not his.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import type { Sys } from "../../../../src/os/sys.ts";
import { storageSys } from "../../../../src/os/storage_sys.ts";
import { storageOperations } from "../../../../src/storaged/operations/storage_operations.ts";
import type { WorkContext } from "../../../../src/storaged/work/operation.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";
import { kernel } from "../../../support/kernel.ts";
import { Scratch } from "../../../support/scratch.ts";

const SIZE = 1 << 20;
const RESERVED = ".virtstoraged-new-host-1";
const NEW = { reserved: RESERVED, preallocateMetadata: false, reflink: false };
const SECRET = "what nobody else may read or change".padEnd(SIZE, ".");

/** A pool for everybody, of a daemon that runs as root, and a file that is not in it. */
class Stage implements Disposable {
  readonly scratch = new Scratch();
  readonly directory = this.scratch.file("pool");
  readonly secret = this.scratch.write("secret", SECRET);
  readonly operations = storageOperations(storageSys());
  readonly pool = parsePool(
    `<pool type='dir'><name>p</name><target><path>${this.directory}</path></target></pool>`,
  );

  constructor() {
    Deno.mkdirSync(this.directory);
    Deno.chmodSync(this.directory, 0o777);
    this.#image("base.qcow2");
    this.#image("i.qcow2");
    this.#image("over.qcow2", "-b", "base.qcow2", "-F", "qcow2");
    Deno.writeFileSync(this.path("v"), new Uint8Array(SIZE).fill(0x76));
  }

  #image(name: string, ...more: string[]): void {
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", ...more, this.path(name), String(SIZE)]);
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  volume(name: string, format: string, more = "") {
    const xml = `<volume><name>${name}</name><capacity>${SIZE}</capacity>` +
      `<target><format type='${format}'/></target>${more}</volume>`;
    return { ...parseVolume(this.pool, xml, "required"), key: this.path(name), path: this.path(name) };
  }

  get place() {
    return { path: this.directory, identity: undefined };
  }

  /** @param swapped file that a link to the secret replaces before a program runs; undefined: none */
  context(swapped: string | undefined): WorkContext {
    const sys: Sys = Object.create(kernel, { uid: { value: () => 0 } });
    return {
      sys,
      descriptors: [],
      progress() {},
      alive() {},
      batch() {},
      checkpoint() {},
      run: ({ argv: [program = "", ...args], descriptors = [] }) => {
        if (swapped !== undefined) {
          Deno.removeSync(this.path(swapped));
          Deno.symlinkSync(this.secret, this.path(swapped));
        }
        const { status, stdout, stderr } = spawnSync(program, args, {
          stdio: ["ignore", "pipe", "pipe", ...descriptors],
          encoding: "utf8",
        });
        return { kind: "exited", code: status ?? -1, stdout, stderr };
      },
    };
  }

  [Symbol.dispose](): void {
    this.scratch[Symbol.dispose]();
  }
}

function create(stage: Stage, format: string, swapped: string | undefined, input?: string, backing = "") {
  const volume = stage.volume("new", format, backing);
  return stage.operations.createVolume.run({
    ...NEW,
    place: stage.place,
    ...input === undefined ? {} : { from: stage.place },
    volume,
    input: input === undefined ? undefined : stage.volume(input, "qcow2"),
  }, stage.context(swapped));
}

Deno.test("an image is not made in the file that a link leads to", () => {
  using stage = new Stage();
  // Another file is under its name then.
  assert.throws(() => create(stage, "qcow2", RESERVED), { message: /new' was replaced while it was made$/ });
  assert.equal(Deno.readTextFileSync(stage.secret), SECRET);
});

Deno.test("a copy is one of the volume, not of what a link in its place leads to", () => {
  using stage = new Stage();
  create(stage, "raw", "i.qcow2", "i.qcow2");
  assert.ok(Deno.readFileSync(stage.path("new")).every((byte) => byte === 0));
});

Deno.test("neither a resize nor a scrub touches what a link leads to", () => {
  using stage = new Stage();
  const image = stage.volume("i.qcow2", "qcow2");
  const request = { place: stage.place, volume: image, capacity: BigInt(2 * SIZE), allocate: false };
  stage.operations.resizeVolume.run(request, stage.context("i.qcow2"));
  stage.operations.wipeVolume.run(
    { place: stage.place, volume: stage.volume("v", "raw"), algorithm: 1 },
    stage.context("v"),
  );
  assert.equal(Deno.readTextFileSync(stage.secret), SECRET);
});

Deno.test("an image that stands on one beside it is copied and resized there too", () => {
  using stage = new Stage();
  create(stage, "raw", undefined, "over.qcow2");
  assert.equal(Deno.statSync(stage.path("new")).size, SIZE);
  const over = stage.volume("over.qcow2", "qcow2");
  stage.operations.resizeVolume.run(
    { place: stage.place, volume: over, capacity: BigInt(2 * SIZE), allocate: false },
    stage.context(undefined),
  );
  const info = execFileSync("qemu-img", ["info", "--output=json", over.path], { encoding: "utf8" });
  const { "virtual-size": size, "backing-filename": backing } = JSON.parse(info);
  assert.deepEqual([size, backing], [2 * SIZE, "base.qcow2"]);
});

Deno.test("a new image may stand on one beside it there too", () => {
  for (const whole of [true, false]) {
    using stage = new Stage();
    const path = whole ? stage.path("base.qcow2") : "base.qcow2";
    const backing = `<backingStore><path>${path}</path><format type='qcow2'/></backingStore>`;
    create(stage, "qcow2", undefined, undefined, backing);
    const info = execFileSync("qemu-img", ["info", "--output=json", stage.path("new")], { encoding: "utf8" });
    assert.equal(JSON.parse(info)["backing-filename"], path);
  }
});
