import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { JournalFile } from "../../../../src/chassis/journal/journal_file.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { openHere, Scratch } from "../../../support/scratch.ts";

const MODE = 0o7777;

Deno.test("JournalFile open() makes a file that only its owner can read, and locks it", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  const directory = scratch.file("journal.d");
  const file = JournalFile.open(kernel, ledger, directory, true);
  assert.ok(file !== undefined && ledger.has(file.fd));
  assert.equal((Deno.statSync(file.path).mode ?? 0) & MODE, 0o600);
  assert.equal((Deno.statSync(directory).mode ?? 0) & MODE, 0o700);
  const before = openHere();
  assert.throws(
    () => JournalFile.open(kernel, ledger, directory, true),
    (error) => error instanceof SystemError && error.call === "lock" && error.subject === file.path,
  );
  assert.deepEqual(openHere(), before);
  ledger.close(file.fd);
});

Deno.test("JournalFile open() gives nothing where there is none and none is wanted", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  assert.equal(JournalFile.open(kernel, ledger, scratch.path, false), undefined);
  assert.equal(JournalFile.open(kernel, ledger, scratch.file("absent"), false), undefined);
  assert.equal(JournalFile.open(kernel, ledger, scratch.write("file"), false), undefined);
});

Deno.test("JournalFile discard() empties, removes and closes the file", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  const path = scratch.write("journal", "something");
  Deno.linkSync(path, scratch.file("other"));
  const file = JournalFile.open(kernel, ledger, scratch.path, false);
  file?.discard();
  assert.ok(!existsSync(path));
  assert.equal(Deno.statSync(scratch.file("other")).size, 0);
  assert.equal(ledger.size, 0);
});

Deno.test("JournalFile remove() leaves a file alone that has taken its place", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  const path = scratch.write("journal", "old");
  const file = JournalFile.open(kernel, ledger, scratch.path, false);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "new");
  file?.discard();
  assert.equal(Deno.readTextFileSync(path), "new");
});
