import assert from "node:assert/strict";
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
import { Place } from "../support/place.ts";
import { poolFlags, range, volumeFlags, volumeNames } from "../support/storage_calls.ts";
import { type StorageClient, StorageDaemon } from "../support/storage_daemon.ts";
import { remoteFrame } from "../support/storage_stage.ts";
import { Scratch } from "../support/scratch.ts";
import { until } from "../support/until.ts";
import { host, runOk } from "./support/command.ts";
import { installMissing } from "./support/debian_packages.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// kill -9 of the whole daemon in the middle of each kind of job: the storage stands still at one of the
// job's operations, the daemon is killed, the storage goes on. Nothing that it had started goes on with the
// job, and the next daemon takes nothing for a whole volume that is none. Needs root and /dev/fuse.

const SIZE = 1 << 20;
const QCOW2 = "<target><format type='qcow2'/></target>";

/** A pool on storage that stands still on command, with a raw volume `v` and an image `i`. */
class Lab implements AsyncDisposable {
  readonly place: Place;
  readonly mount: HangingMount;
  readonly daemon: StorageDaemon;
  readonly client: StorageClient;
  readonly pool: PoolRef;

  private constructor(place: Place, mount: HangingMount, daemon: StorageDaemon) {
    this.place = place;
    this.mount = mount;
    this.daemon = daemon;
    this.client = daemon.open();
    this.pool = readPool(this.client.call(PoolProcedure.CREATE_XML, (writer) => {
      writer.string(`<pool type='dir'><name>p</name><target><path>${mount.point}</path></target></pool>`);
      writer.u32(0);
    }));
  }

  static async create(directory: string, name: string): Promise<Lab> {
    const mount = await HangingMount.mount(directory, name);
    Deno.writeFileSync(`${mount.backing}/v`, new Uint8Array(SIZE).fill(0x76));
    await runOk(host, ["qemu-img", "create", "-q", "-f", "qcow2", `${mount.backing}/i`, String(SIZE)]);
    const place = Place.create();
    return new Lab(place, mount, await StorageDaemon.start([], place));
  }

  volume(name: string): VolumeRef {
    return readVolume(this.client.call(VolumeProcedure.LOOKUP_BY_NAME, (writer) => {
      writePool(writer, this.pool);
      writer.string(name);
    }));
  }

  /** Begins a call whose answer nobody waits for. */
  begin(procedure: number, encode: (writer: XdrWriter) => void): void {
    this.client.raw.send(remoteFrame(procedure, 99, encode));
  }

  /** Kills the daemon while its job stands still at an operation. */
  async killAt(operation: string, begin: (lab: Lab) => void): Promise<void> {
    begin(this);
    await this.mount.untilHung(operation);
    const sessions = this.daemon.helpers();
    assert.ok(sessions.length > 0);
    this.daemon.process.kill("SIGKILL");
    await this.daemon.status;
    await this.mount.goOn();
    await until("everything that it had started to end", () => !living(sessions));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client[Symbol.dispose]();
    await this.daemon[Symbol.asyncDispose]();
    await this.mount[Symbol.asyncDispose]();
    this.place[Symbol.dispose]();
  }
}

/** Whether any process of these sessions is there. */
function living(sessions: readonly number[]): boolean {
  return [...Deno.readDirSync("/proc")].some(({ name }) => {
    try {
      const stat = Deno.readTextFileSync(`/proc/${name}/stat`);
      const [state, , , session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state !== "Z" && sessions.includes(Number(session));
    } catch {
      // No process, or one that has ended meanwhile.
      return false;
    }
  });
}

/** What the next daemon finds. */
class Found {
  readonly names: readonly string[];
  readonly #client: StorageClient;
  readonly #lab: Lab;

  constructor(client: StorageClient, lab: Lab) {
    client.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, lab.pool));
    this.names = volumeNames(client, lab.pool);
    this.#client = client;
    this.#lab = lab;
  }

  /** Whether a volume is taken for whole: it can be downloaded. */
  isWhole(name: string): boolean {
    const volume = { pool: this.#lab.pool.name, name, key: `${this.#lab.mount.point}/${name}` };
    const answer = this.#client.ask(VolumeProcedure.DOWNLOAD, (writer) => range(writer, volume));
    if (typeof answer !== "string") return true;
    assert.match(answer, /^55\/18 .* is not whole: an upload to it, or its wiping, did not come to its end$/);
    return false;
  }

  bytes(name: string): Uint8Array {
    return Deno.readFileSync(`${this.#lab.mount.backing}/${name}`);
  }

  /** Whether a file is an image of that size without a mistake in it. */
  async isImage(name: string, size: number): Promise<boolean> {
    const path = `${this.#lab.mount.backing}/${name}`;
    const { code } = await host.run(["qemu-img", "check", "-q", path]);
    const info = JSON.parse(await runOk(host, ["qemu-img", "info", "--output=json", path]));
    return code === 0 && info.format === "qcow2" && info["virtual-size"] === size;
  }
}

interface Job {
  readonly what: string;
  /** Operations of the storage at one of which it stands still, each in a run of its own. */
  readonly at: readonly string[];
  readonly begin: (lab: Lab) => void;
  readonly look: (found: Found) => void | Promise<void>;
}

function create(more: string, from?: string) {
  return (lab: Lab) =>
    lab.begin(
      from === undefined ? VolumeProcedure.CREATE_XML : VolumeProcedure.CREATE_XML_FROM,
      (writer) => {
        writePool(writer, lab.pool);
        writer.string(`<volume><name>new</name><capacity>${SIZE}</capacity>${more}</volume>`);
        if (from !== undefined) writeVolume(writer, lab.volume(from));
        writer.u32(0);
      },
    );
}

/** A new volume is not there, or whole. */
async function newOrNot(found: Found, isWhole: () => boolean | Promise<boolean>): Promise<void> {
  const others = found.names.filter((name) => name !== "new");
  assert.deepEqual(others, ["i", "v"]);
  if (found.names.includes("new")) assert.equal(await isWhole(), true);
}

function filledWith(bytes: Uint8Array, value: number): boolean {
  return bytes.length === SIZE && bytes.every((byte) => byte === value);
}

function resize(name: string) {
  return (lab: Lab) => {
    const volume = lab.volume(name);
    lab.begin(VolumeProcedure.RESIZE, (writer) => {
      writeVolume(writer, volume);
      writer.u64(BigInt(2 * SIZE));
      writer.u32(0);
    });
  };
}

/** Zeros, and one of those that scrub(1) does. */
const ZERO = 0;
const NNSA = 1;

function wipe(algorithm: number) {
  return (lab: Lab) => {
    const volume = lab.volume("v");
    lab.begin(VolumeProcedure.WIPE_PATTERN, (writer) => {
      writeVolume(writer, volume);
      writer.u32(algorithm);
      writer.u32(0);
    });
  };
}

function wipedOrHalf(found: Found): void {
  assert.deepEqual(found.names, ["i", "v"]);
  const bytes = found.bytes("v");
  if (found.isWhole("v")) assert.ok(filledWith(bytes, 0x76) || filledWith(bytes, 0));
}

const JOBS: readonly Job[] = [
  {
    what: "a raw volume is made",
    at: ["create", "truncate", "chmod", "rename"],
    begin: create(""),
    look: (found) => newOrNot(found, () => filledWith(found.bytes("new"), 0)),
  },
  {
    what: "an image is made",
    at: ["write", "fsync", "rename"],
    begin: create(QCOW2),
    look: (found) => newOrNot(found, () => found.isImage("new", SIZE)),
  },
  {
    what: "a raw volume is copied",
    at: ["read", "write", "fsync", "rename"],
    begin: create("", "v"),
    look: (found) => newOrNot(found, () => filledWith(found.bytes("new"), 0x76)),
  },
  {
    what: "an image is copied",
    at: ["write", "rename"],
    begin: create(QCOW2, "i"),
    look: (found) => newOrNot(found, () => found.isImage("new", SIZE)),
  },
  {
    what: "a volume is downloaded",
    at: ["open", "read"],
    begin: (lab) => {
      const volume = lab.volume("v");
      lab.begin(VolumeProcedure.DOWNLOAD, (writer) => range(writer, volume));
    },
    look: (found) => {
      assert.deepEqual(found.names, ["i", "v"]);
      assert.equal(found.isWhole("v") && filledWith(found.bytes("v"), 0x76), true);
    },
  },
  {
    what: "a raw volume is resized",
    at: ["truncate"],
    begin: resize("v"),
    look: (found) => {
      assert.deepEqual(found.names, ["i", "v"]);
      const bytes = found.bytes("v");
      assert.ok(bytes.length === SIZE || bytes.length === 2 * SIZE);
      assert.ok(filledWith(bytes.subarray(0, SIZE), 0x76));
    },
  },
  {
    what: "an image is resized",
    at: ["write"],
    begin: resize("i"),
    look: async (found) => {
      assert.deepEqual(found.names, ["i", "v"]);
      assert.equal(await found.isImage("i", SIZE) || await found.isImage("i", 2 * SIZE), true);
    },
  },
  { what: "a volume is wiped with zeros", at: ["setxattr", "write"], begin: wipe(ZERO), look: wipedOrHalf },
  { what: "a volume is wiped by scrub", at: ["write"], begin: wipe(NNSA), look: wipedOrHalf },
  {
    what: "a volume is deleted",
    at: ["unlink"],
    begin: (lab) => {
      const volume = lab.volume("v");
      lab.begin(VolumeProcedure.DELETE, (writer) => volumeFlags(writer, volume));
    },
    look: (found) => {
      if (found.names.includes("v")) assert.equal(filledWith(found.bytes("v"), 0x76), true);
      assert.deepEqual(found.names.filter((name) => name !== "v"), ["i"]);
    },
  },
];

for (const { what, at, begin, look } of JOBS) {
  Deno.test(`a daemon that is killed while ${what} leaves nothing half, and nothing that goes on`, async () => {
    await installMissing(["qemu-utils", "scrub"]);
    using scratch = new Scratch();
    for (const operation of at) {
      await using lab = await Lab.create(scratch.path, operation);
      await lab.mount.hang(operation);
      await lab.killAt(operation, begin);
      await using daemon = await StorageDaemon.start([], lab.place);
      using client = daemon.open();
      assert.equal(await daemon.command("jobs"), "No job is under way\n");
      await look(new Found(client, lab));
      const left = [...Deno.readDirSync(lab.mount.backing)].filter(({ name }) => name.startsWith("."));
      assert.deepEqual(left, [], `something is left of what stood still at ${operation}`);
    }
  });
}
