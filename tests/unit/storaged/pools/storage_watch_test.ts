import assert from "node:assert/strict";
import { StorageWatch } from "../../../../src/storaged/pools/storage_watch.ts";
import { MovedLoop } from "../../../support/moved_loop.ts";

/** A watch on a clock that the test moves, and what it has told. */
class Stage extends MovedLoop {
  readonly late: number[] = [];
  readonly watch = new StorageWatch(this, (waited) => this.late.push(waited));
}

Deno.test("storage that is waited for in vain is late once", () => {
  using stage = new Stage();
  stage.watch.begin(1000);
  assert.equal(stage.watch.waiting, true);
  stage.wait(900);
  assert.deepEqual(stage.late, []);
  stage.wait(101);
  assert.deepEqual([stage.late, stage.watch.waiting], [[1000], false]);
  stage.wait(5000);
  assert.deepEqual(stage.late, [1000]);
});

Deno.test("a sign of life begins the time anew", () => {
  using stage = new Stage();
  stage.watch.begin(1000);
  for (let time = 0; time < 5; time++) {
    stage.wait(900);
    stage.watch.heard();
  }
  assert.deepEqual(stage.late, []);
  stage.wait(1001);
  assert.deepEqual(stage.late, [1000]);
});

Deno.test("while nobody waits for it, storage is not late, however long", () => {
  using stage = new Stage();
  stage.watch.begin(1000);
  stage.watch.pause();
  stage.wait(10_000);
  assert.deepEqual([stage.late, stage.watch.waiting], [[], false]);
  stage.watch.begin(1000);
  stage.wait(900);
  stage.watch.end();
  stage.wait(10_000);
  assert.deepEqual(stage.late, []);
});

Deno.test("a shorter time counts at once, a longer one takes its place", () => {
  using stage = new Stage();
  stage.watch.begin(10_000);
  stage.watch.begin(1000);
  stage.wait(1001);
  assert.deepEqual(stage.late, [1000]);
  stage.watch.begin(1000);
  stage.watch.begin(10_000);
  stage.wait(1001);
  assert.deepEqual(stage.late, [1000]);
  stage.wait(9000);
  assert.deepEqual(stage.late, [1000, 10_000]);
});
