import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import type { PoolRef } from "../../src/storaged/model/storage_service.ts";
import {
  PoolProcedure,
  readVolume,
  VolumeProcedure,
  writePool,
  writeVolume,
} from "../../src/storaged/wire/remote_protocol.ts";
import { definePool, makePoolAt, poolFlags, volumeFlags, volumeNames } from "../support/storage_calls.ts";
import { AMPLE, placeWithLimit, type StorageClient, StorageDaemon } from "../support/storage_daemon.ts";
import { answerOf, remoteFrame } from "../support/storage_stage.ts";
import { until } from "../support/until.ts";
import { HangingMount } from "./support/hanging_mount.ts";

// Jobs on a real FUSE filesystem that hangs in one kind of call: a process that waits there cannot even be
// killed. Each ends with an error in time, what it has begun passes for nothing that is whole, and when the
// storage comes back everything is as it was before, or as it was to be. Needs root and /dev/fuse.

const SIZE = 1 << 20;
const SERIAL = 4711;

/** A call of a job: procedure and arguments. */
type Call = readonly [procedure: number, encode: (writer: XdrWriter) => void];

/** A job, and where it stands still. */
interface Case {
  readonly call: (client: StorageClient, pool: PoolRef) => Call;
  /** What the kernel asks the filesystem for, and waits. */
  readonly hangs: string;
  /** What must be in the pool when its storage is back. */
  readonly left: "as before" | "done or as before";
}

function volumeOf(client: StorageClient, pool: PoolRef, name: string) {
  return readVolume(client.call(VolumeProcedure.LOOKUP_BY_NAME, (writer) => {
    writePool(writer, pool);
    writer.string(name);
  }));
}

function definition(format: string): string {
  return `<volume><name>new</name><capacity>${SIZE}</capacity><target><format type='${format}'/></target></volume>`;
}

function create(format: string) {
  return (_client: StorageClient, pool: PoolRef): Call => [VolumeProcedure.CREATE_XML, (writer) => {
    writePool(writer, pool);
    writer.string(definition(format));
    writer.u32(0);
  }];
}

function clone(from: string, format: string) {
  return (client: StorageClient, pool: PoolRef): Call => {
    const source = volumeOf(client, pool, from);
    return [VolumeProcedure.CREATE_XML_FROM, (writer) => {
      writePool(writer, pool);
      writer.string(definition(format));
      writeVolume(writer, source);
      writer.u32(0);
    }];
  };
}

function change(procedure: number, name: string, more: (writer: XdrWriter) => void) {
  return (client: StorageClient, pool: PoolRef): Call => {
    const volume = volumeOf(client, pool, name);
    return [procedure, (writer) => {
      writeVolume(writer, volume);
      more(writer);
      writer.u32(0);
    }];
  };
}

const NNSA = 1;
const wipe = change(VolumeProcedure.WIPE, "v", () => {});
const scrub = change(VolumeProcedure.WIPE_PATTERN, "v", (writer) => writer.u32(NNSA));
const grow = (name: string) => change(VolumeProcedure.RESIZE, name, (writer) => writer.u64(BigInt(2 * SIZE)));
const remove = change(VolumeProcedure.DELETE, "v", () => {});

const CASES: Readonly<Record<string, Case>> = {
  "create at open": { call: create("raw"), hangs: "create", left: "as before" },
  "create at truncate": { call: create("raw"), hangs: "truncate", left: "as before" },
  "create at write": { call: create("raw"), hangs: "write", left: "as before" },
  "create at fsync": { call: create("raw"), hangs: "fsync", left: "as before" },
  "create at chmod": { call: create("raw"), hangs: "chmod", left: "as before" },
  "create at rename": { call: create("raw"), hangs: "rename", left: "done or as before" },
  "create qcow2 at write": { call: create("qcow2"), hangs: "write", left: "as before" },
  "create qcow2 at fsync": { call: create("qcow2"), hangs: "fsync", left: "as before" },
  "clone at write": { call: clone("v", "raw"), hangs: "write", left: "as before" },
  "clone qcow2 at write": { call: clone("i.qcow2", "qcow2"), hangs: "write", left: "as before" },
  "wipe at its mark": { call: wipe, hangs: "setxattr", left: "done or as before" },
  "wipe at write": { call: wipe, hangs: "write", left: "done or as before" },
  "wipe at fsync": { call: wipe, hangs: "fsync", left: "done or as before" },
  "scrub at write": { call: scrub, hangs: "write", left: "done or as before" },
  "resize at truncate": { call: grow("v"), hangs: "truncate", left: "done or as before" },
  "resize qcow2 at write": { call: grow("i.qcow2"), hangs: "write", left: "done or as before" },
  "delete at unlink": { call: remove, hangs: "unlink", left: "done or as before" },
};

/** A pool of its own on a mount of its own, with a raw volume and an image. */
async function hangingPool(
  stack: AsyncDisposableStack,
  client: StorageClient,
  directory: string,
  name: string,
) {
  const mount = stack.use(await HangingMount.mount(directory, name));
  Deno.writeFileSync(`${mount.backing}/v`, new Uint8Array(SIZE).fill(0x76));
  execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", `${mount.backing}/i.qcow2`, String(SIZE)]);
  return { mount, pool: makePoolAt(client, name, mount.point) };
}

/** What is in the pool is what it was, or what it was to be. */
function check(backing: string, names: readonly string[], left: Case["left"]): void {
  const before = ["i.qcow2", "v"];
  if (left === "as before") assert.deepEqual(names, before);
  else assert.ok(names.includes("i.qcow2") && names.every((name) => name === "new" || before.includes(name)));
  const hidden = [...Deno.readDirSync(backing)].filter(({ name }) => name.startsWith("."));
  assert.deepEqual(hidden, []);
  if (names.includes("new")) assert.equal(Deno.statSync(`${backing}/new`).size, SIZE);
  execFileSync("qemu-img", ["check", "-q", "-f", "qcow2", `${backing}/i.qcow2`]);
}

/** Calls a procedure, and waits longer for it than a job may stand still. @returns the refusal as text */
async function refusalOf(client: StorageClient, [procedure, encode]: Call): Promise<string> {
  client.raw.send(remoteFrame(procedure, SERIAL, encode));
  await until("the end of the call", () => !client.raw.quiet);
  return String(answerOf(client.raw.receive()));
}

const NO_JOB = "No job is under way\n";

Deno.test("each job whose storage hangs ends with an error, and is followed until it has gone", async (test) => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const daemon = stack.use(await StorageDaemon.start([], place));
  const client = stack.use(daemon.open());
  Deno.mkdirSync(`${place.directory}/local`);
  const local = makePoolAt(client, "local", `${place.directory}/local`);
  const stages = [];
  for (const [index, [name, each]] of Object.entries(CASES).entries()) {
    const { mount, pool } = await hangingPool(stack, client, place.directory, `p${index}`);
    const call = each.call(client, pool);
    await mount.hang(each.hangs);
    stages.push({ name, each, mount, pool, call, asker: stack.use(daemon.open()) });
  }
  // A job may stand still for ten seconds.
  daemon.limit(1);
  try {
    for (const { asker, call: [procedure, encode] } of stages) {
      asker.raw.send(remoteFrame(procedure, SERIAL, encode));
    }
    for (const { each, mount } of stages) await mount.untilHung(each.hangs);
    daemon.limit(AMPLE);
    for (const { name, asker, mount, pool, call } of stages) {
      await test.step(name, async () => {
        // Nobody else waits.
        client.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, local));
        await until("the end of the call", () => !asker.raw.quiet);
        const said = `the storage of pool '${pool.name}' (${mount.point}) does not answer, and `;
        const answer = String(answerOf(asker.raw.receive()));
        assert.ok(answer.startsWith(`68/18 Timed out during operation: ${said}`), answer);
        assert.match(answer, / \w+ of volume '\S+' \(job \d+\) is given up: see to it, then try again$/);
        // Its process is still there, and is shown.
        assert.match(await daemon.command("jobs"), new RegExp(` ${pool.name}/\\S+ +hung `));
        assert.match(await daemon.command("status"), new RegExp(`does not answer:.*\\b${pool.name}\\b`));
        const [procedure] = call;
        if (procedure === VolumeProcedure.CREATE_XML || procedure === VolumeProcedure.CREATE_XML_FROM) return;
        // Nothing else is begun with the volume.
        const volume = volumeOf(client, pool, name.includes("qcow2") ? "i.qcow2" : "v");
        const second = client.ask(VolumeProcedure.WIPE, (writer) => volumeFlags(writer, volume));
        assert.match(String(second), /is still in use\.$/);
      });
    }
  } finally {
    for (const { mount } of stages) await mount.goOn();
  }
  await until("the processes to have gone", async () => (await daemon.command("jobs")) === NO_JOB);
  for (const { name, each, mount, pool, call: [procedure, encode] } of stages) {
    await test.step(`${name}: afterwards`, async () => {
      await until(
        "the pool to be read",
        () => client.ask(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool)) instanceof XdrReader,
      );
      check(mount.backing, volumeNames(client, pool), each.left);
      if (each.left !== "as before") return;
      client.call(procedure, encode);
      assert.deepEqual(volumeNames(client, pool), ["i.qcow2", "new", "v"]);
    });
  }
  assert.doesNotMatch(await daemon.command("status"), /does not answer/);
});

Deno.test("a pool whose building hangs ends with an error, and is built when its storage is back", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const mount = stack.use(await HangingMount.mount(place.directory, "a"));
  const daemon = stack.use(await StorageDaemon.start([], place));
  const client = stack.use(daemon.open());
  const pool = definePool(client, "deep", `${mount.point}/deep`);
  daemon.limit(1);
  await mount.hang("mkdir");
  try {
    assert.match(
      await refusalOf(client, [PoolProcedure.BUILD, (writer) => poolFlags(writer, pool)]),
      /^68\/18 .*the storage of pool 'deep' \(\S+\) does not answer, and build \(job 1\) is given up: /,
    );
    assert.match(await daemon.command("jobs"), / hung /);
  } finally {
    await mount.goOn();
  }
  await until("its process to have gone", async () => (await daemon.command("jobs")) === NO_JOB);
  daemon.limit(AMPLE);
  client.call(PoolProcedure.BUILD, (writer) => poolFlags(writer, pool));
  client.call(PoolProcedure.CREATE, (writer) => poolFlags(writer, pool));
});

Deno.test("a daemon that is asked to end does not wait for a job that was given up", async () => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const daemon = stack.use(await StorageDaemon.start([], place));
  const client = stack.use(daemon.open());
  const { mount, pool } = await hangingPool(stack, client, place.directory, "a");
  daemon.limit(1);
  await mount.hang("unlink");
  try {
    assert.match(await refusalOf(client, remove(client, pool)), /^68\/18 /);
    daemon.process.kill("SIGTERM");
    assert.equal((await daemon.status).code, 0);
  } finally {
    await mount.goOn();
  }
});

/** How a volume becomes another one of twelve times the size that is written in a second. */
const SLOW: Readonly<Record<string, (client: StorageClient, pool: PoolRef) => Call>> = {
  "a copy": clone("v", "raw"),
  "a conversion": clone("v", "qcow2"),
  "a wipe": wipe,
};

Deno.test("a slow job is never cut, however long it takes", async (test) => {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(placeWithLimit(AMPLE));
  const daemon = stack.use(await StorageDaemon.start([], place));
  const client = stack.use(daemon.open());
  const stages = [];
  for (const [index, [name, call]] of Object.entries(SLOW).entries()) {
    const { mount, pool } = await hangingPool(stack, client, place.directory, `p${index}`);
    Deno.writeFileSync(`${mount.backing}/v`, new Uint8Array(12 * SIZE).fill(0x76));
    client.call(PoolProcedure.REFRESH, (writer) => poolFlags(writer, pool));
    await mount.slow(SIZE);
    stages.push({ name, asker: stack.use(daemon.open()), call: call(client, pool) });
  }
  daemon.limit(1);
  const begun = Date.now();
  for (const { asker, call: [procedure, encode] } of stages) {
    asker.raw.send(remoteFrame(procedure, SERIAL, encode));
  }
  for (const { name, asker } of stages) {
    await test.step(name, async () => {
      await until("its end", () => !asker.raw.quiet, 200_000);
      const answer = answerOf(asker.raw.receive());
      assert.ok(answer instanceof XdrReader, String(answer));
      assert.ok(Date.now() - begun > 10_000, `it took ${Date.now() - begun} ms`);
    });
  }
});
