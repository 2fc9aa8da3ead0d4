import assert from "node:assert/strict";
import { TurnEnd } from "../../../../src/chassis/journal/turn_end.ts";

Deno.test("TurnEnd does a task once at the end of each turn in which it was asked for", () => {
  const deferred: (() => void)[] = [];
  let done = 0;
  const task = new TurnEnd({ defer: (each) => void deferred.push(each) }, () => void done++);
  task.ask();
  task.ask();
  assert.deepEqual([deferred.length, done], [1, 0]);
  deferred.shift()?.();
  assert.deepEqual([deferred.length, done], [0, 1]);
  task.ask();
  deferred.shift()?.();
  assert.equal(done, 2);
});
