import assert from "node:assert/strict";
import { storageError } from "../../../../src/storaged/model/storage_error.ts";
import type { PoolRef } from "../../../../src/storaged/model/storage_service.ts";
import { CoreStage, EMPTY_LISTING } from "../../../support/core_stage.ts";
import { Scratch } from "../../../support/scratch.ts";

const HUNG = storageError("timed-out", "the storage does not answer");

function uuid(name: string): string {
  return `c9a81ae0-5d4b-4f3e-8d4c-${
    [...name].map((letter) => letter.charCodeAt(0).toString(16)).join("").padStart(12, "0")
  }`;
}

function document(name: string): string {
  return `<pool type='dir'><name>${name}</name><uuid>${
    uuid(name)
  }</uuid><target><path>/pools/${name}</path></target></pool>`;
}

/** Files as a daemon has left them. */
class Left extends Scratch {
  readonly directories = CoreStage.directories(this);

  constructor() {
    super();
    for (const path of Object.values(this.directories)) Deno.mkdirSync(path, { recursive: true });
  }

  defined(name: string, file = name): this {
    Deno.writeTextFileSync(`${this.directories.config}/${file}.xml`, document(name));
    return this;
  }

  starts(name: string): this {
    Deno.symlinkSync(`${this.directories.config}/${name}.xml`, `${this.directories.autostart}/${name}.xml`);
    return this;
  }

  up(name: string, file = name): this {
    Deno.writeTextFileSync(
      `${this.directories.state}/${file}.xml`,
      `<poolstate>${document(name)}</poolstate>`,
    );
    return this;
  }

  /** The host has been up before. */
  again(): this {
    Deno.writeTextFileSync(`${this.directories.state}/autostarted`, "");
    return this;
  }
}

Deno.test("a pool that was up is up again when it is found so, and forgotten when it is not", () => {
  using left = new Left().up("there").up("gone").defined("kept").up("kept");
  using stage = new CoreStage(left);
  assert.deepEqual(stage.pools(true), ["gone", "kept", "there"]);
  const [gone, kept, there] = ["gone", "kept", "there"].map(() => stage.work.take("open-pool"));
  assert.deepEqual([gone?.place, gone?.limit, gone?.silence], ["start of gone", 300_000, 30_000]);
  gone?.done(undefined);
  kept?.done(undefined);
  there?.done(EMPTY_LISTING);
  assert.deepEqual([stage.pools(true), stage.pools(false)], [["there"], ["kept"]]);
  assert.deepEqual(stage.states, ["there.xml"]);
});

Deno.test("a call for a pool that is being looked at waits for it, and no other call does", () => {
  using left = new Left().up("slow");
  using stage = new CoreStage(left);
  const ref: PoolRef = { name: "slow", uuid: uuid("slow") };
  const asked = stage.call<boolean>((service, answer) => service.poolIsActive(ref, answer));
  const late = stage.call<boolean>((service, answer) => service.poolIsActive(ref, answer));
  assert.equal(asked.outcome, undefined);
  assert.deepEqual(stage.pools(false), []);
  stage.wait(30_001);
  assert.equal(late.outcome, "68 Timed out during operation: storage pool 'slow' is still starting up");
  const again = stage.call<boolean>((service, answer) => service.poolIsActive(ref, answer));
  stage.work.take("open-pool").done(EMPTY_LISTING);
  assert.equal(again.outcome, true);
});

Deno.test("a pool that was up and does not answer is looked at again, and keeps what says that it is up", () => {
  using left = new Left().up("hung");
  using stage = new CoreStage(left);
  for (let time = 0; time < 3; time++) {
    stage.work.take("open-pool").failed(HUNG);
    assert.deepEqual([stage.pools(true), stage.states, stage.service.hungPools], [["hung"], ["hung.xml"], [
      "hung",
    ]]);
    assert.deepEqual(stage.work.asked, []);
    stage.wait(5001);
  }
  stage.work.take("open-pool").done(EMPTY_LISTING);
  assert.deepEqual([stage.pools(true), stage.service.hungPools], [["hung"], []]);
  assert.deepEqual(
    stage.told,
    Array(3).fill(
      "error: Storage pool 'hung' was active: Timed out during operation: the storage does not answer; trying again in 5 s",
    ),
  );
});

Deno.test("a pool that was up and cannot be read is inactive, and why is told", () => {
  using left = new Left().defined("one").up("one");
  using stage = new CoreStage(left);
  stage.work.take("open-pool").failed(storageError("failed", "no way"));
  assert.deepEqual([stage.pools(true), stage.pools(false), stage.states], [[], ["one"], []]);
  assert.deepEqual(stage.told, ["error: Storage pool 'one' is not active: operation failed: no way"]);
});

Deno.test("a directory that exists is up, though nobody has started it, and is written down", () => {
  using left = new Left().defined("one");
  using stage = new CoreStage(left);
  assert.deepEqual(stage.pools(false), ["one"]);
  stage.work.take("open-pool").done(EMPTY_LISTING);
  assert.deepEqual([stage.pools(true), stage.states], [["one"], ["one.xml"]]);
});

Deno.test("what starts with the host is started at its first start, later again when that fails, and not at the next one", () => {
  using left = new Left().defined("one").starts("one").defined("two");
  {
    using stage = new CoreStage(left);
    stage.work.take("open-pool").done(undefined);
    stage.work.take("open-pool").done(undefined);
    const start = stage.work.take("open-pool");
    assert.equal((start.args as { how: string }).how, "start");
    start.failed(storageError("failed", "no server"));
    assert.deepEqual(stage.told, [
      "error: Storage pool 'one' was not started with the host: operation failed: no server; trying again in 5 s",
    ]);
    assert.deepEqual(stage.states, []);
    stage.wait(5001);
    stage.work.take("open-pool").done(EMPTY_LISTING);
    assert.deepEqual([stage.pools(true), stage.states], [["one"], ["one.xml"]]);
    assert.deepEqual(stage.events.map((event) => event.kind === "lifecycle" && event.event), [2]);
  }
  Deno.removeSync(`${left.directories.state}/one.xml`);
  using stage = new CoreStage(left);
  stage.work.take("open-pool").done(undefined);
  stage.work.take("open-pool").done(undefined);
  assert.deepEqual(stage.work.asked, []);
});

Deno.test("a start that goes on again and again in vain ends", () => {
  using left = new Left().defined("one").starts("one");
  using stage = new CoreStage(left);
  stage.work.take("open-pool").done(undefined);
  for (let time = 0; stage.work.asked.length > 0; time++) {
    stage.work.take("open-pool").failed(storageError("failed", "no server"));
    stage.wait(5000 * 2 ** time + 1);
  }
  assert.equal(stage.told.length, 8);
  assert.equal(
    stage.told.at(-1),
    "error: Storage pool 'one' was not started with the host: operation failed: no server",
  );
});

Deno.test("a file that says another name than its own, or nothing that can be read, is passed over with its path", () => {
  using left = new Left().defined("one", "other").up("two", "else").again();
  Deno.writeTextFileSync(`${left.directories.config}/broken.xml`, "<pool");
  using stage = new CoreStage(left);
  assert.deepEqual([stage.pools(true), stage.pools(false)], [[], []]);
  const { config, state } = left.directories;
  assert.equal(stage.told[0], `error: ${state}/else.xml is passed over: it is the state of pool 'two'`);
  assert.match(
    stage.told[1] ?? "",
    new RegExp(`^error: ${config}/broken\\.xml is passed over: .*line 1`, "s"),
  );
  assert.equal(stage.told[2], `error: ${config}/other.xml is passed over: it defines pool 'one'`);
});

Deno.test("a reload knows what is new, starts what has a link, and forgets nothing", () => {
  using left = new Left().defined("one").again();
  using stage = new CoreStage(left);
  stage.work.take("open-pool").done(undefined);
  Deno.removeSync(`${left.directories.config}/one.xml`);
  left.defined("two").starts("two").defined("three");
  stage.service.reload();
  const start = stage.work.take("open-pool");
  assert.equal(start.place, "start of two");
  assert.deepEqual(stage.work.asked, []);
  start.done(EMPTY_LISTING);
  assert.deepEqual([stage.pools(true), stage.pools(false)], [["two"], ["one", "three"]]);
});

Deno.test("a pool is written down before it is started, and not any more when that fails", () => {
  using left = new Left().again();
  using stage = new CoreStage(left);
  const create = stage.call<PoolRef>((service, answer) =>
    service.createPool({ pid: 1, uid: 0, client: "1" }, document("one"), 0, answer)
  );
  assert.deepEqual(stage.states, ["one.xml"]);
  stage.work.take("open-pool").failed(storageError("failed", "no way"));
  assert.equal(create.outcome, "9 operation failed: no way");
  assert.deepEqual([stage.states, stage.pools(true), stage.pools(false)], [[], [], []]);
});

Deno.test("while another daemon has the pools nothing is read, and each connection is refused with its process", () => {
  using left = new Left().defined("one").again();
  using first = new CoreStage(left);
  using second = new CoreStage(left);
  const opened = second.call<void>((service, answer) => service.open(answer));
  assert.match(
    String(opened.outcome),
    new RegExp(`^55 .* served by another daemon \\(process ${Deno.pid}\\)$`),
  );
  assert.deepEqual([second.pools(false), second.work.asked], [[], []]);
  assert.deepEqual(first.pools(false), ["one"]);
});
