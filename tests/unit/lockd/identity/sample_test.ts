// The sample configuration, conf/virtlockd.conf, against the code that it describes.

import assert from "node:assert/strict";
import { parseConfigFile } from "../../../../src/chassis/config/config_file.ts";
import { loadSettings } from "../../../../src/chassis/config/settings.ts";
import { LOCK_SETTINGS } from "../../../../src/lockd/identity/settings.ts";

const SAMPLE = await Deno.readTextFile(new URL("../../../../conf/virtlockd.conf", import.meta.url));

Deno.test("conf/virtlockd.conf sets nothing", () => {
  assert.deepEqual(parseConfigFile(SAMPLE, "sample"), []);
});

Deno.test("conf/virtlockd.conf shows every key with its default", () => {
  const entries = parseConfigFile(SAMPLE.replace(/^#([a-z_]+ = )/gm, "$1"), "sample");
  assert.deepEqual(entries.map((entry) => entry.key), [...LOCK_SETTINGS.keys.keys()]);
  const { settings, warnings } = loadSettings(LOCK_SETTINGS, entries);
  // The level has a default of its own, which is only shown here.
  assert.equal(settings.logLevel, 3);
  assert.deepEqual({ ...settings, logLevel: undefined }, LOCK_SETTINGS.defaults);
  assert.deepEqual(warnings, []);
});

Deno.test("conf/virtlockd.conf has examples that load", () => {
  const examples = [...SAMPLE.matchAll(/^# {3}([a-z_]+ = .*)$/gm)].map(([, statement]) => statement);
  assert.equal(examples.length, 8);
  assert.deepEqual(loadSettings(LOCK_SETTINGS, parseConfigFile(examples.join("\n"), "sample")).warnings, []);
});
