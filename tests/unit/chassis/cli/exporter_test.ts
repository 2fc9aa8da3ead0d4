import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { exporterText, failingOnce } from "../../../../src/chassis/cli/exporter.ts";

const WIDGETD = { name: "widgetd" };

/** Samples of a text: the lines that are no comments. */
function samples(text: string): string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

Deno.test("exporterText() is the daemon's metrics and that it is up", () => {
  assert.deepEqual(samples(exporterText(WIDGETD, () => "a 1\n")), ["up 1", "widgetd_up 1", "a 1"]);
});

Deno.test("exporterText() says that the daemon is down when it cannot be asked", () => {
  const text = exporterText(WIDGETD, () => {
    throw new CommandError(2, "nobody there");
  });
  assert.deepEqual(samples(text), ["up 0", "widgetd_up 0"]);
});

Deno.test("exporterText() does not hide a defect", () => {
  assert.throws(() =>
    exporterText(WIDGETD, () => {
      throw new TypeError("defect");
    }), TypeError);
});

Deno.test("failingOnce() waits once for a daemon that does not answer, whoever asks meanwhile", () => {
  let [now, asked] = [0, 0];
  const ask = failingOnce(() => {
    asked++;
    now += 3000;
    throw new CommandError(2, "no answer");
  }, { monotonic: () => now });
  for (let count = 0; count < 8; count++) assert.throws(ask, /no answer/);
  assert.equal(asked, 1);
  now += 499;
  assert.throws(ask, /no answer/);
  assert.equal(asked, 1);
  now += 1;
  assert.throws(ask, /no answer/);
  assert.equal(asked, 2);
});

Deno.test("failingOnce() asks each time as long as there is an answer", () => {
  let asked = 0;
  const ask = failingOnce(() => `${++asked}`, { monotonic: () => 0 });
  assert.deepEqual([ask(), ask(), ask()], ["1", "2", "3"]);
});
