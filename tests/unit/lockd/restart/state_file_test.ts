import assert from "node:assert/strict";
import { StartError } from "../../../../src/chassis/start/start_error.ts";
import { StateFile } from "../../../../src/lockd/restart/state_file.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import type { FileSys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const SERVER =
  '{"min_workers":0,"max_workers":0,"priority_workers":0,"max_clients":1024,"keepaliveInterval":4294967295,' +
  '"keepaliveCount":0,"services":[],"clients":[]}';
const DOCUMENT = `{"daemon":{"servers":{"virtlockd":${SERVER}}},"defaultLockspace":{"resources":[]},` +
  '"lockspaces":[],"magic":"42"}';

function names(scratch: Scratch): string[] {
  return [...Deno.readDirSync(scratch.path)].map(({ name }) => name);
}

Deno.test("StateFile saveAs() writes a file that only its owner can read, in place of the one before", () => {
  using scratch = new Scratch();
  const path = scratch.write("state", "old");
  new StateFile(kernel, path).saveAs(path, new TextEncoder().encode("new"));
  assert.equal(Deno.readTextFileSync(path), "new");
  assert.equal((Deno.statSync(path).mode ?? 0) & 0o7777, 0o600);
  assert.deepEqual(names(scratch), ["state"]);
});

Deno.test("StateFile saveAs() goes on after a short write", () => {
  using scratch = new Scratch();
  const path = scratch.file("state");
  const sys: FileSys = { ...kernel, write: (fd, bytes) => kernel.write(fd, bytes.subarray(0, 7)) };
  const bytes = crypto.getRandomValues(new Uint8Array(100));
  new StateFile(sys, path).saveAs(path, bytes);
  assert.deepEqual(Deno.readFileSync(path), bytes);
});

Deno.test("StateFile saveAs() follows no link that was planted", () => {
  using scratch = new Scratch();
  const victim = scratch.write("victim", "precious");
  const path = scratch.file("state");
  Deno.symlinkSync(victim, path);
  Deno.symlinkSync(victim, `${path}.new`);
  new StateFile(kernel, path).saveAs(path, new TextEncoder().encode("new"));
  assert.equal(Deno.readTextFileSync(victim), "precious");
  assert.ok(Deno.lstatSync(path).isFile);
});

Deno.test("StateFile saveAs() leaves nothing behind when it fails, and the old file as it was", () => {
  using scratch = new Scratch();
  const path = scratch.write("state", "old");
  const before = openDescriptors();
  for (const [name, errno] of [["open", 13], ["write", 28], ["rename", 5]] as const) {
    const file = new StateFile({ ...kernel, [name]: () => -errno }, path);
    assert.throws(
      () => file.saveAs(path, new Uint8Array(5)),
      (error) => error instanceof SystemError && error.errno === errno && error.subject === `${path}.new`,
    );
    assert.deepEqual(names(scratch), ["state"]);
    assert.equal(Deno.readTextFileSync(path), "old");
  }
  assert.deepEqual(openedSince(before), []);
});

Deno.test("StateFile follows no link to a state of this very process, and takes the link away", () => {
  using scratch = new Scratch();
  const elsewhere = scratch.write("elsewhere", DOCUMENT);
  const file = new StateFile(kernel, scratch.file("state"));
  Deno.symlinkSync(elsewhere, file.path);
  assert.equal(file.isFor(42), false);
  assert.deepEqual(file.take(42), { kind: "link" });
  assert.deepEqual(names(scratch), ["elsewhere"]);
  assert.equal(file.bytesTaken, 0);
});

Deno.test("StateFile isFor() tells whose state it is, without touching it", () => {
  using scratch = new Scratch();
  const file = new StateFile(kernel, scratch.file("state"));
  assert.equal(file.isFor(42), false);
  scratch.write("state", DOCUMENT);
  assert.equal(file.isFor(42), true);
  assert.equal(file.isFor(4), false);
  // A name may look like the field; the field itself is the last one.
  scratch.write("state", `{"name": "\\"magic\\": \\"7\\"", "magic" : "42"\n}\n`);
  assert.deepEqual([file.isFor(42), file.isFor(7)], [true, false]);
  assert.deepEqual(names(scratch), ["state"]);
});

Deno.test("StateFile take() reads a state of this process and unlinks the file", () => {
  using scratch = new Scratch();
  const file = new StateFile(kernel, scratch.file("state"));
  assert.equal(file.take(42), undefined);
  scratch.write("state", DOCUMENT);
  const taken = file.take(42);
  assert.equal(taken?.kind, "state");
  assert.equal(taken?.kind === "state" && taken.state.pid, 42);
  assert.deepEqual(names(scratch), []);
});

Deno.test("StateFile take() unlinks a state of another process", () => {
  using scratch = new Scratch();
  scratch.write("state", DOCUMENT);
  assert.deepEqual(new StateFile(kernel, scratch.file("state")).take(7), { kind: "stale", magic: "42" });
  assert.deepEqual(names(scratch), []);
});

Deno.test("StateFile take() throws for a state of this process that it does not understand", () => {
  using scratch = new Scratch();
  const path = scratch.file("state");
  for (const text of ["", "{", "[]", DOCUMENT.replace('"resources":[]', '"resources":5')]) {
    scratch.write("state", text);
    assert.throws(() => new StateFile(kernel, path).take(42), (error) => {
      assert.ok(error instanceof StartError);
      assert.equal(error.code, 3);
      assert.ok(error.message.startsWith(`Load restart state ${path}: `), error.message);
      return true;
    });
    assert.deepEqual(names(scratch), []);
  }
});

Deno.test("StateFile take() throws when the file is there and cannot be read, and not without a directory", () => {
  using scratch = new Scratch();
  const path = scratch.write("state", DOCUMENT);
  assert.throws(
    () => new StateFile({ ...kernel, open: () => -13 }, path).take(42),
    (error) =>
      error instanceof StartError && error.code === 3 && /^Read restart state: open /.test(error.message),
  );
  assert.equal(new StateFile(kernel, scratch.file("nowhere/state")).take(42), undefined);
  assert.equal(new StateFile(kernel, scratch.file("state/state")).take(42), undefined);
});
