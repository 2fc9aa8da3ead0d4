import assert from "node:assert/strict";
import { FOREIGN_FUNCTIONS } from "../../../../src/storaged/programs/foreign_functions.ts";
import { FOREIGN_PROCEDURES } from "../../../../src/storaged/programs/foreign_procedures.ts";
import { OF_OTHER_DAEMONS } from "../../../../src/storaged/programs/other_daemons.ts";
import {
  POOL_CHANGES,
  POOL_LISTS,
  POOL_QUESTIONS,
} from "../../../../src/storaged/programs/pool_procedures.ts";
import { VOLUME_CHANGES, VOLUME_QUESTIONS } from "../../../../src/storaged/programs/volume_procedures.ts";

Deno.test("no number of a procedure that storage does not have is one of its own, or there twice", () => {
  const own = [POOL_LISTS, POOL_QUESTIONS, POOL_CHANGES, VOLUME_QUESTIONS, VOLUME_CHANGES].flat();
  const numbers = [...own, ...FOREIGN_PROCEDURES].map(([number]) => number);
  assert.deepEqual(numbers.filter((number, index) => numbers.indexOf(number) !== index), []);
});

Deno.test("the procedures of other daemons are those between the ends of their ranges", () => {
  assert.equal(OF_OTHER_DAEMONS.length, 85);
  assert.deepEqual(OF_OTHER_DAEMONS.slice(0, 4), [36, 38, 39, 40]);
  assert.deepEqual(OF_OTHER_DAEMONS.slice(-2), [436, 437]);
  const names = new Map(FOREIGN_PROCEDURES.map(([number, { name }]) => [number, name]));
  assert.equal(names.size, Object.keys(FOREIGN_FUNCTIONS).length + 85);
  assert.deepEqual([names.get(36), names.get(59)], ["Procedure36", "ConnectGetHostname"]);
});
