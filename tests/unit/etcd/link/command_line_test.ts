import assert from "node:assert/strict";
import { readCommandLine } from "../../../../src/etcd/link/command_line.ts";
import { VERSION } from "../../../../src/chassis/config/build_config.ts";

Deno.test("readCommandLine() without arguments is a link that reads certificates where they are", () => {
  assert.deepEqual(readCommandLine([]), { kind: "link", certificates: undefined });
});

Deno.test("readCommandLine() takes the directory of certificates that were loaded", () => {
  const wanted = { kind: "link", certificates: "/etc/libvirt/virtlockd-cluster" };
  assert.deepEqual(readCommandLine(["--certificates", "/etc/libvirt/virtlockd-cluster"]), wanted);
  assert.deepEqual(readCommandLine(["--certificates", "/etc/libvirt/virtlockd-cluster//"]), wanted);
});

Deno.test("readCommandLine() tells the version as every program of the family does", () => {
  const wanted = { kind: "text", text: `virtlockd-cluster (deno-virtlockd) ${VERSION}\n` };
  assert.deepEqual(readCommandLine(["--version"]), wanted);
  assert.deepEqual(readCommandLine(["-V"]), wanted);
});

Deno.test("readCommandLine() has a help text of lines that fit a terminal", () => {
  const wanted = readCommandLine(["--help"]);
  assert.ok(wanted.kind === "text");
  assert.match(wanted.text, /^Usage: virtlockd-cluster /);
  assert.deepEqual(wanted.text.split("\n").filter((line) => line.length > 80), []);
  assert.deepEqual(readCommandLine(["-h"]), wanted);
});

Deno.test("readCommandLine() refuses what it does not know", () => {
  const mistakes: [string[], string][] = [
    [["status"], '"status" is no option'],
    [["--certificates"], "--certificates needs a directory"],
    [["--certificates", "certs"], "--certificates needs a directory"],
    [["--certificates", "/a", "/b"], '"/b" is too much'],
  ];
  for (const [args, text] of mistakes) {
    assert.deepEqual(readCommandLine(args), {
      kind: "mistake",
      text: `virtlockd-cluster: error: ${text}; see virtlockd-cluster --help\n`,
    });
  }
});

Deno.test("the manual and the help text of the link have the same options", () => {
  const manual = Deno.readTextFileSync(new URL("../../../../man/virtlockd-cluster.8", import.meta.url));
  const options = [...manual.matchAll(/^\.It Fl (?:(\w) , )?-(\w+)/gm)].map(([, short, long]) =>
    short === undefined ? `--${long}` : `-${short}, --${long}`
  );
  assert.deepEqual(options.sort(), ["--certificates", "-V, --version", "-h, --help"]);
  const help = readCommandLine(["--help"]);
  assert.ok(help.kind === "text");
  assert.deepEqual(
    [...help.text.matchAll(/^ {2}(--\w+|-\w, --\w+) /gm)].map(([, option]) => option).sort(),
    options,
  );
});
