import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { exporterText } from "../../../../src/chassis/cli/exporter.ts";

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
