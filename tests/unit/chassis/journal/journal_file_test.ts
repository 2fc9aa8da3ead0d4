import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { JournalFile } from "../../../../src/chassis/journal/journal_file.ts";
import { EAGAIN, EEXIST, ENOSPC } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import type { FileSys } from "../../../../src/os/sys.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { encodeText } from "../../../../src/os/text.ts";
import { FailingCalls } from "../../../support/failing_calls.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const MODE = 0o7777;

/** Names in a directory. */
function namesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).toSorted();
}

/** Makes a file in which something stands. */
function make(ledger: DescriptorLedger, directory: string, sys: FileSys = kernel): JournalFile {
  const { file, filled } = JournalFile.make(sys, ledger, directory, (fd) => {
    assert.deepEqual(namesIn(directory), ["journal.new"]);
    return kernel.pwrite(fd, encodeText("whole"), 0);
  });
  assert.equal(filled, 5);
  return file;
}

/** What is thrown when an action fails with an errno. */
function failsWith(call: string, errno: number) {
  return (error: unknown) => error instanceof SystemError && error.call === call && error.errno === errno;
}

Deno.test("JournalFile make() makes a file that only its owner can read, and locks it", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  const directory = scratch.file("journal.d");
  const file = make(ledger, directory);
  assert.ok(ledger.has(file.fd));
  assert.equal((Deno.statSync(file.path).mode ?? 0) & MODE, 0o600);
  assert.equal((Deno.statSync(directory).mode ?? 0) & MODE, 0o700);
  assert.deepEqual([namesIn(directory), Deno.readTextFileSync(file.path)], [["journal"], "whole"]);
  const before = openDescriptors();
  assert.throws(() => JournalFile.open(kernel, ledger, directory), failsWith("lock", EAGAIN));
  assert.throws(() => JournalFile.make(kernel, ledger, directory, () => {}), failsWith("make", EEXIST));
  assert.deepEqual([openedSince(before), namesIn(directory)], [[], ["journal"]]);
  ledger.close(file.fd);
});

Deno.test("JournalFile make() leaves no journal where it fails, whichever call it is", () => {
  const faults = [
    ["mkdir", 1, "mkdir"],
    ["open", 1, "open"],
    ["ofdLock", 1, "lock"],
    ["lstat", 2, "make"],
    ["ftruncate", 1, "ftruncate"],
    ["rename", 1, "rename"],
  ] as const;
  for (const [call, nth, said] of faults) {
    using scratch = new Scratch();
    const calls = new FailingCalls({ call, nth, errno: ENOSPC });
    const before = openDescriptors();
    const ledger = new DescriptorLedger(kernel);
    assert.throws(() => make(ledger, scratch.path, calls.around(kernel)), failsWith(said, ENOSPC));
    assert.deepEqual([call, openedSince(before), ledger.size], [call, [], 0]);
    assert.equal(namesIn(scratch.path).includes("journal"), false, call);
  }
});

Deno.test("JournalFile make() tries again where it cannot be told which file it has locked", () => {
  for (const call of ["fstat", "lstat"]) {
    using scratch = new Scratch();
    const ledger = new DescriptorLedger(kernel);
    const calls = new FailingCalls({ call, nth: 1, errno: ENOSPC });
    const file = make(ledger, scratch.path, calls.around(kernel));
    assert.deepEqual([calls.fired, namesIn(scratch.path)], [true, ["journal"]]);
    ledger.close(file.fd);
  }
});

Deno.test("JournalFile make() leaves nothing of a file for which there is no room", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const full = () => {
    throw new SystemError("pwrite", "journal", ENOSPC);
  };
  assert.throws(
    () => JournalFile.make(kernel, new DescriptorLedger(kernel), scratch.path, full),
    failsWith("pwrite", ENOSPC),
  );
  assert.deepEqual([namesIn(scratch.path), openedSince(before)], [[], []]);
});

Deno.test("JournalFile make() begins anew what a kill has left half made", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  scratch.write("journal.new", "longer than what comes");
  const file = make(ledger, scratch.path);
  assert.deepEqual([namesIn(scratch.path), Deno.readTextFileSync(file.path)], [["journal"], "whole"]);
  ledger.close(file.fd);
});

Deno.test("JournalFile make() leaves alone what another daemon is making, or has just made", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  JournalFile.make(kernel, ledger, scratch.path, () => {
    assert.throws(() => JournalFile.make(kernel, ledger, scratch.path, () => {}), failsWith("lock", EAGAIN));
    assert.deepEqual(namesIn(scratch.path), ["journal.new"]);
  });
  Deno.removeSync(scratch.file("journal"));
  // The other one is done, and gone, between the opening here and the lock.
  let first = true;
  const sys: FileSys = {
    ...kernel,
    ofdLock: (...args) => {
      if (first) Deno.renameSync(scratch.file("journal.new"), scratch.file("journal"));
      first = false;
      return kernel.ofdLock(...args);
    },
  };
  assert.throws(() => JournalFile.make(sys, ledger, scratch.path, () => {}), failsWith("make", EEXIST));
  assert.deepEqual(namesIn(scratch.path), ["journal"]);
});

Deno.test("JournalFile open() gives nothing where there is none", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  assert.equal(JournalFile.open(kernel, ledger, scratch.path), undefined);
  assert.equal(JournalFile.open(kernel, ledger, scratch.file("absent")), undefined);
  assert.equal(JournalFile.open(kernel, ledger, scratch.write("file")), undefined);
});

Deno.test("JournalFile discard() empties, removes and closes the file", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  const path = scratch.write("journal", "something");
  Deno.linkSync(path, scratch.file("other"));
  const file = JournalFile.open(kernel, ledger, scratch.path);
  file?.discard();
  assert.ok(!existsSync(path));
  assert.equal(Deno.statSync(scratch.file("other")).size, 0);
  assert.equal(ledger.size, 0);
});

Deno.test("JournalFile remove() leaves a file alone that has taken its place", () => {
  using scratch = new Scratch();
  const ledger = new DescriptorLedger(kernel);
  const path = scratch.write("journal", "old");
  const file = JournalFile.open(kernel, ledger, scratch.path);
  Deno.removeSync(path);
  Deno.writeTextFileSync(path, "new");
  file?.discard();
  assert.equal(Deno.readTextFileSync(path), "new");
});
