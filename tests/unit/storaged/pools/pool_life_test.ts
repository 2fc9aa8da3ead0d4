import assert from "node:assert/strict";
import { storageError } from "../../../../src/storaged/model/storage_error.ts";
import type { Caller, PoolRef, VolumeRef } from "../../../../src/storaged/model/storage_service.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";
import { failureFields } from "../../../../src/storaged/work/work_message.ts";
import { CoreStage, EMPTY_LISTING } from "../../../support/core_stage.ts";
import { Scratch } from "../../../support/scratch.ts";

const CALLER: Caller = { pid: 1, uid: 2, client: "3" };
const UUID = "c9a81ae0-5d4b-4f3e-8d4c-000000000001";
const REF: PoolRef = { name: "p", uuid: UUID };
const VOLUME: VolumeRef = { pool: "p", name: "v", key: "/pools/p/v" };
const LISTED = { kind: "done", value: EMPTY_LISTING };
const GONE = { kind: "gone", failure: failureFields(storageError("invalid", "another storage")) };
const VOLUME_XML = "<volume><name>v</name><capacity>1</capacity></volume>";
const COPY_XML = "<volume><name>copy</name><capacity>1</capacity></volume>";

function poolXml(path: string): string {
  return `<pool type='dir'><name>p</name><uuid>${UUID}</uuid><target><path>${path}</path></target></pool>`;
}

/** A core with a pool that is defined. */
class Stage extends CoreStage {
  constructor(scratch: Scratch) {
    super(scratch);
    this.define("/pools/p");
  }

  define(path: string): void {
    const { outcome } = this.call<PoolRef>((service, answer) => service.definePool(poolXml(path), 0, answer));
    assert.deepEqual(outcome, REF);
  }

  start(): void {
    const started = this.call<void>((service, answer) => service.startPool(CALLER, REF, 0, answer));
    this.work.take("open-pool").done(EMPTY_LISTING);
    assert.equal(typeof started.outcome, "undefined");
    assert.deepEqual(this.pools(true), ["p"]);
  }

  refresh() {
    return this.call<void>((service, answer) => service.refreshPool(CALLER, REF, 0, answer));
  }

  destroy() {
    return this.call<void>((service, answer) => service.destroyPool(CALLER, REF, answer));
  }
}

Deno.test("a pool is unmounted when nothing reads in it any more", () => {
  using scratch = new Scratch();
  using stage = new Stage(scratch);
  stage.start();
  stage.refresh();
  stage.refresh();
  stage.destroy();
  const [one, other] = [stage.work.take("refresh-pool"), stage.work.take("refresh-pool")];
  assert.deepEqual(stage.work.asked, []);
  one.done(LISTED);
  assert.deepEqual(stage.work.asked, []);
  other.failed(storageError("timed-out", "it hangs"));
  stage.work.take("stop-pool").done(undefined);
  assert.deepEqual(stage.pools(false), ["p"]);
});

Deno.test("storage that was gone before a pool was started anew does not stop it", () => {
  using scratch = new Scratch();
  using stage = new Stage(scratch);
  stage.start();
  const refreshes = [stage.refresh(), stage.refresh()];
  const [one, other] = [stage.work.take("refresh-pool"), stage.work.take("refresh-pool")];
  one.done(GONE);
  assert.deepEqual(stage.pools(false), ["p"]);
  stage.call<void>((service, answer) => service.startPool(CALLER, REF, 0, answer));
  stage.work.take("open-pool").done({ ...EMPTY_LISTING, identity: { device: "8:1", mount: "78" } });
  other.done(GONE);
  const gone = "55 Requested operation is not valid: another storage";
  assert.deepEqual(refreshes.map(({ outcome }) => outcome), [gone, gone]);
  assert.deepEqual(stage.pools(true), ["p"]);
});

Deno.test("a copy is not begun in a pool that is stopped while its original is looked at", () => {
  using scratch = new Scratch();
  using stage = new Stage(scratch);
  stage.start();
  stage.call<VolumeRef>((service, answer) => service.createVolume(CALLER, REF, VOLUME_XML, 0, answer));
  const volume = {
    ...parseVolume(parsePool(poolXml("/pools/p")), VOLUME_XML, "required"),
    key: VOLUME.key,
    path: VOLUME.key,
  };
  stage.work.take("create-volume").done({ kind: "done", value: volume });
  const copied = stage.call<VolumeRef>((service, answer) =>
    service.createVolumeFrom(CALLER, REF, COPY_XML, VOLUME, 0, answer)
  );
  const look = stage.work.take("update-volume");
  stage.destroy();
  look.done({ kind: "done", value: volume });
  assert.equal(copied.outcome, "55 Requested operation is not valid: storage pool 'p' is not active");
  stage.work.take("stop-pool").done(undefined);
  assert.deepEqual(stage.work.asked, []);
});

Deno.test("servers are asked for their exports one beside the other, and each by one at a time", () => {
  using scratch = new Scratch();
  using stage = new Stage(scratch);
  for (const host of ["a", "b", "a"]) {
    stage.call<string>((service, answer) =>
      service.findPoolSources(CALLER, "netfs", `<source><host name='${host}'/></source>`, 0, answer)
    );
  }
  const places = stage.work.asked.map(({ place }) => place);
  assert.deepEqual(places, ["sources of netfs a", "sources of netfs b", "sources of netfs a"]);
});

Deno.test("what is defined while a pool is built is what it is then", () => {
  using scratch = new Scratch();
  using stage = new Stage(scratch);
  stage.call<void>((service, answer) => service.buildPool(CALLER, REF, 0, answer));
  stage.define("/pools/other");
  stage.work.take("build-pool").done(undefined);
  stage.call<void>((service, answer) => service.startPool(CALLER, REF, 0, answer));
  const { args } = stage.work.take("open-pool");
  assert.equal((args as { pool: { target: { path: string } } }).pool.target.path, "/pools/other");
});
