import assert from "node:assert/strict";
import { COMMANDS, parseCommandLine } from "../../../../src/chassis/config/options.ts";
import { defaultPaths } from "../../../../src/chassis/config/paths.ts";
import { usageHint, usageText } from "../../../../src/chassis/config/usage.ts";

const PATHS = defaultPaths({
  uid: 1000,
  env: { XDG_CONFIG_HOME: "/c", XDG_RUNTIME_DIR: "/r", XDG_CACHE_HOME: "/k" },
  exists: () => false,
});

Deno.test("usageText() shows this user's files", () => {
  const lines = usageText(PATHS, "virtlockd").split("\n");
  assert.deepEqual(lines.slice(-7), [
    "Files, unless an option names another one:",
    "  configuration  /c/libvirt/virtlockd.conf",
    "  socket         /r/libvirt/virtlockd-sock",
    "  admin socket   /r/libvirt/virtlockd-admin-sock",
    "  PID file       /r/libvirt/virtlockd.pid",
    "  log file       /k/libvirt/virtlockd.log",
    "",
  ]);
});

Deno.test("usageText() calls the program by its name", () => {
  const lines = usageText(PATHS, "./virtlockd").split("\n");
  assert.deepEqual(lines.slice(0, 2), [
    "Usage: ./virtlockd [OPTION]...",
    "       ./virtlockd COMMAND [ARGUMENT]...",
  ]);
});

Deno.test("usageText() lists every command", () => {
  const text = usageText(PATHS, "virtlockd");
  for (const command of COMMANDS) assert.match(text, new RegExp(`^ {2}${command} +\\S`, "m"));
});

Deno.test("usageText() lists only options that the command line takes", () => {
  const options = [...usageText(PATHS, "virtlockd").matchAll(/^ {2}(-\w), (--[a-z-]+)( [A-Z]+)?/gm)];
  assert.equal(options.length, 7);
  for (const [, short = "", long = "", value] of options) {
    const argument = value === undefined ? [] : ["5"];
    assert.deepEqual(parseCommandLine([short, ...argument]), parseCommandLine([long, ...argument]));
  }
});

Deno.test("usageText() fits into 80 columns", () => {
  for (const line of usageText(PATHS, "virtlockd").split("\n")) assert.ok(line.length <= 80, line);
});

Deno.test("usageHint() points at --help in one line", () => {
  assert.equal(usageHint("virtlockd"), "Run 'virtlockd --help' for a list of options and commands.");
});
