import assert from "node:assert/strict";
import { chooseDaemon } from "../../../../src/chassis/cli/family.ts";

const NAMES = ["virtad", "virtbd"];

Deno.test("chooseDaemon() goes by the name that the program is called by", () => {
  const choice = { name: "virtbd", chosen: [], args: ["virtad", "-d"] };
  assert.deepEqual(chooseDaemon(NAMES, "virtbd", ["virtad", "-d"]), choice);
});

Deno.test("chooseDaemon() takes the first argument where the program is called otherwise", () => {
  const choice = { name: "virtad", chosen: ["virtad"], args: ["-d", "virtbd"] };
  assert.deepEqual(chooseDaemon(NAMES, "main.ts", ["virtad", "-d", "virtbd"]), choice);
});

Deno.test("chooseDaemon() chooses none where none is named", () => {
  const chosen = (args: readonly string[]) => () => chooseDaemon(NAMES, "virtad.new", args);
  assert.throws(chosen([]), { name: "UsageError", message: "Name a daemon first: virtad, virtbd" });
  assert.throws(chosen(["-d", "virtad"]), { message: 'Name a daemon first, got "-d": virtad, virtbd' });
});
