import assert from "node:assert/strict";
import { type Lateness, latenessText, Patience } from "../../../../src/storaged/work/patience.ts";
import { PlayedTime } from "../../../support/played_time.ts";

/** A helper that is waited for, and what is told of it, with the time at which it is. */
function stage() {
  const time = new PlayedTime();
  const told: string[] = [];
  let moved: string | undefined = "0";
  const patience = new Patience({ sys: { monotonic: () => time.now }, loop: time.loop() }, {
    late: (lateness: Lateness) => told.push(`${time.now} ${latenessText(lateness)}`),
    idle: () => told.push(`${time.now} idle`),
    activity: () => moved,
  });
  return { time, told, patience, move: (text: string | undefined) => void (moved = text) };
}

Deno.test("Patience tells once that an operation was not done in its time", () => {
  const { time, told, patience } = stage();
  patience.begin({ limit: 2000, silence: undefined });
  time.advance();
  assert.deepEqual(told, ["2000 was not done within 2 s"]);
});

Deno.test("Patience tells that nothing was heard, counted from the last sign of life", () => {
  const { time, told, patience } = stage();
  patience.begin({ limit: undefined, silence: 8000 });
  for (let look = 0; look < 5; look++) time.advance();
  assert.deepEqual([time.now, patience.silentFor, told], [5000, 5000, []]);
  patience.heard();
  assert.equal(patience.silentFor, 0);
  while (told.length === 0) time.advance();
  assert.deepEqual(told, ["13000 gave no sign of life within 8 s"]);
});

Deno.test("Patience goes on as long as the kernel counts that something was moved", () => {
  const { time, told, patience, move } = stage();
  patience.begin({ limit: undefined, silence: 8000 });
  for (let look = 0; look < 20; look++) {
    move(String(look));
    time.advance();
  }
  assert.deepEqual(told, []);
  while (told.length === 0) time.advance();
  assert.deepEqual(told, ["28000 gave no sign of life within 8 s"]);
});

Deno.test("Patience gives what was cancelled half a minute to be undone, whatever is heard of it", () => {
  const { time, told, patience } = stage();
  patience.begin({ limit: undefined, silence: 8000 });
  patience.cancelled();
  patience.heard();
  // It comes up only now.
  patience.begin({ limit: undefined, silence: 8000 });
  time.advance();
  assert.deepEqual(told, ["30000 was cancelled, and not undone within 30 s"]);
});

Deno.test("Patience tells of a helper that has nothing to do for a minute, and of none that is done with", () => {
  const { time, told, patience } = stage();
  patience.begin({ limit: 1000, silence: 8000 });
  patience.rest();
  time.advance();
  assert.deepEqual(told, ["60000 idle"]);
  patience.begin({ limit: 1000, silence: 8000 });
  patience.end();
  time.advance();
  assert.deepEqual(told, ["60000 idle"]);
});
