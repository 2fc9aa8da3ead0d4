import assert from "node:assert/strict";
import { RefusedNames } from "../../../../src/lockd/store/refused_names.ts";
import { StoreAdmission } from "../../../../src/lockd/store/store_admission.ts";
import { StoreRoom } from "../../../../src/lockd/store/store_room.ts";
import { KeptLog } from "../journal/kept_log.ts";

/** A store that takes so many descriptors. */
function stage(limit: number) {
  const log = new KeptLog();
  const room = new StoreRoom(log, limit);
  const refused = new RefusedNames(log);
  return { log, room, refused, admission: new StoreAdmission(room, refused) };
}

Deno.test("StoreAdmission.admit() takes names as long as there is room, and knows whom it has refused", () => {
  const { room, refused, admission } = stage(1);
  assert.equal(admission.admit("a"), true);
  assert.equal(admission.fullFor("b", 1), "the store is full: it takes 1");
  assert.equal(admission.admit("b"), false);
  assert.deepEqual([[...room.names], [...refused]], [["a"], ["b"]]);
  room.forget("a");
  assert.equal(admission.admit("b"), true);
  assert.deepEqual([[...room.names], [...refused]], [["b"], []]);
});

Deno.test("StoreAdmission refuses everything while nothing is kept, and says so of no single name", () => {
  const { log, refused, admission } = stage(9);
  admission.suspend();
  assert.deepEqual([admission.kept, admission.fullFor("a", 1)], [false, "systemd does not take it"]);
  assert.equal(admission.admit("a"), false);
  assert.deepEqual(log.lines.map((line) => line.split(":")[0]), ["info"]);
  admission.resume(2);
  assert.deepEqual([admission.kept, [...refused], admission.admit("a")], [true, [], true]);
});

Deno.test("StoreAdmission.refuse() gives back the room of what could not be stored", () => {
  const { room, refused, admission } = stage(1);
  admission.keep("a");
  admission.refuse("a", "it could not be sent");
  assert.deepEqual([room.used, [...refused]], [0, ["a"]]);
});
