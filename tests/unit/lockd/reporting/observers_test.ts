import assert from "node:assert/strict";
import { combineObservers } from "../../../../src/lockd/reporting/observers.ts";

Deno.test("combineObservers() tells all that implement an event, in order, with its arguments", () => {
  const seen: string[] = [];
  const combined = combineObservers([
    { lockspaceCreated: (path) => seen.push(`first ${path}`) },
    { settled: ({ pid }) => seen.push(`second ${pid}`) },
    { lockspaceCreated: (path) => seen.push(`third ${path}`) },
  ]);
  combined.lockspaceCreated("/ls");
  combined.settled({ key: 42, pid: 42 });
  combined.served("lock", "Register", 0, 1);
  assert.deepEqual(seen, ["first /ls", "third /ls", "second 42"]);
});

Deno.test("combineObservers() lets an observer be an object with state", () => {
  class Counter {
    count = 0;
    settled() {
      this.count++;
    }
  }
  const counter = new Counter();
  const alone = combineObservers([counter]);
  alone.settled({ key: 1, pid: 1 });
  combineObservers([counter, { settled() {} }]).settled({ key: 1, pid: 1 });
  assert.equal(counter.count, 2);
});
