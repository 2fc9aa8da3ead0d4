import type { Identity } from "../../../../src/chassis/config/identity.ts";
import { VIRTLOCKD } from "../../../../src/lockd/identity/identity.ts";
import assert from "node:assert/strict";
import { parseCommandLine } from "../../../../src/chassis/config/options.ts";
import { tokenizerFor } from "../../../../src/chassis/config/option_tokens.ts";
import { defaultPaths } from "../../../../src/chassis/config/paths.ts";
import { usageHint, usageText } from "../../../../src/chassis/config/usage.ts";

const tokensOf = await tokenizerFor(["--all"]);

const PATHS = defaultPaths(VIRTLOCKD, {
  uid: 1000,
  env: { XDG_CONFIG_HOME: "/c", XDG_RUNTIME_DIR: "/r", XDG_CACHE_HOME: "/k" },
  exists: () => false,
});

function parse(...args: string[]) {
  return parseCommandLine(args, VIRTLOCKD.commands, tokensOf);
}

Deno.test("usageText() shows this user's files", () => {
  const lines = usageText(VIRTLOCKD, PATHS).split("\n");
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
  const lines = usageText({ ...VIRTLOCKD, name: "./virtlockd" }, PATHS).split("\n");
  assert.deepEqual(lines.slice(0, 2), [
    "Usage: ./virtlockd [OPTION]...",
    "       ./virtlockd COMMAND [ARGUMENT]...",
  ]);
});

Deno.test("usageText() says what else than a client keeps the daemon from ending", () => {
  const line = (identity: Identity) => /^ {2}-t.* {2}(.*)$/m.exec(usageText(identity, PATHS))?.[1];
  assert.equal(line(VIRTLOCKD), "stop after SECONDS without any client or lock; 0: never");
  assert.equal(
    line({ ...VIRTLOCKD, keeps: "job" }),
    "stop after SECONDS without any client or job; 0: never",
  );
});

Deno.test("usageText() lists every command", () => {
  const text = usageText(VIRTLOCKD, PATHS);
  for (const command of Object.keys(VIRTLOCKD.commands)) {
    assert.match(text, new RegExp(`^ {2}${command} +\\S`, "m"));
  }
});

Deno.test("usageText() lists only options that the command line takes", () => {
  const options = [...usageText(VIRTLOCKD, PATHS).matchAll(/^ {2}(-\w), (--[a-z-]+)( [A-Z]+)?/gm)];
  assert.equal(options.length, 7);
  for (const [, short = "", long = "", value] of options) {
    const argument = value === undefined ? [] : ["5"];
    assert.deepEqual(parse(short, ...argument), parse(long, ...argument));
  }
});

Deno.test("usageText() fits into 80 columns", () => {
  for (const line of usageText(VIRTLOCKD, PATHS).split("\n")) assert.ok(line.length <= 80, line);
});

Deno.test("usageHint() points at --help in one line", () => {
  assert.equal(usageHint("virtlockd"), "Run 'virtlockd --help' for a list of options and commands.");
});
