import assert from "node:assert/strict";
import { placeStatus } from "../../../../src/lockd/storage/place_status.ts";
import type { StorageStatus } from "../../../../src/lockd/storage/storage_queue.ts";

function status(state: StorageStatus["state"], parts: Partial<StorageStatus> = {}): StorageStatus {
  return { mount: undefined, state, since: undefined, waiting: 0, helper: undefined, ...parts };
}

Deno.test("placeStatus() of a place that is asked by one helper only is that helper's", () => {
  const own = status("working", { since: 5, waiting: 2, helper: 7 });
  assert.deepEqual(placeStatus(own, []), own);
});

Deno.test("placeStatus() says that a place hangs when the helper of one of its users does", () => {
  const own = status("working", { since: 9, waiting: 1, helper: 7 });
  const deputies = [status("hung", { since: 6, waiting: 2, helper: 8 }), status("idle", { helper: 9 })];
  assert.deepEqual(placeStatus(own, deputies), status("hung", { since: 6, waiting: 3, helper: 7 }));
});

Deno.test("placeStatus() has the time of what has taken longest in the state that it names", () => {
  const hung = [status("hung", { since: 6 }), status("hung", { since: 4 })];
  assert.deepEqual(placeStatus(status("absent"), hung), status("hung", { since: 4 }));
  assert.deepEqual(placeStatus(status("absent"), [status("idle")]), status("idle"));
});
