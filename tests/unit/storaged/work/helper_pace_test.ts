import assert from "node:assert/strict";
import { HelperPace } from "../../../../src/storaged/work/helper_pace.ts";
import { PlayedTime } from "../../../support/played_time.ts";

const READY = { ready: true, hungAt: undefined };

function helpers(count: number, last = READY): typeof READY[] {
  return Array.from({ length: count }, (_, index) => index === count - 1 ? last : READY);
}

Deno.test("the first four helpers are started at once, and never more than 32 that answer", () => {
  const pace = new HelperPace(new PlayedTime().loop(), () => {});
  assert.deepEqual([0, 1, 2, 3].map((count) => pace.mayStart(helpers(count))), [true, true, true, true]);
  assert.equal(pace.mayStart(helpers(32)), false);
});

Deno.test("helpers that storage holds up do not count", () => {
  const pace = new HelperPace(new PlayedTime().loop(), () => {});
  const hung = Array.from({ length: 40 }, () => ({ ready: true, hungAt: "/mnt" }));
  assert.equal(pace.mayStart([...hung, ...helpers(3)]), true);
});

for (
  const [what, last, after] of [["are up", READY, 100], [
    "are not all up",
    { ...READY, ready: false },
    300,
  ]] as const
) {
  Deno.test(`a fifth helper is started ${after} ms later while the others ${what}, and one at a time`, () => {
    const time = new PlayedTime();
    const given: boolean[] = [];
    const pace = new HelperPace(time.loop(), () => {
      given.push(pace.mayStart(helpers(4, last)), pace.mayStart(helpers(5, last)));
    });
    assert.equal(pace.mayStart(helpers(4, last)), false);
    time.advance();
    assert.deepEqual([time.now, given], [after, [true, false]]);
  });
}

Deno.test("a pace that is closed looks no more", () => {
  const time = new PlayedTime();
  const pace = new HelperPace(time.loop(), () => assert.fail());
  assert.equal(pace.mayStart(helpers(4)), false);
  pace.close();
  time.advance();
});
