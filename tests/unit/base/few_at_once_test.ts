import assert from "node:assert/strict";
import { FewAtOnce } from "../../../src/base/few_at_once.ts";

Deno.test("FewAtOnce begins in order, and no more than it may", () => {
  const few = new FewAtOnce(2);
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  for (const name of ["a", "b", "c", "d"]) {
    few.run((over) => {
      begun.push(name);
      ends.push(over);
    });
  }
  assert.deepEqual(begun, ["a", "b"]);
  ends[1]?.();
  assert.deepEqual(begun, ["a", "b", "c"]);
  ends[0]?.();
  ends[2]?.();
  assert.deepEqual(begun, ["a", "b", "c", "d"]);
});

Deno.test("FewAtOnce does what is over at once, however much that is and whatever it begins", () => {
  const few = new FewAtOnce(1);
  let done = 0;
  few.run((over) => {
    for (let number = 0; number < 50_000; number++) {
      few.run((over) => {
        done++;
        over();
      });
    }
    assert.equal(done, 0);
    over();
  });
  assert.equal(done, 50_000);
});
