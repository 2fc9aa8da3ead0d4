import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { JournalFile } from "../../../../src/chassis/journal/journal_file.ts";
import { JournalPlace } from "../../../../src/lockd/crash/journal_place.ts";
import { F_GETFD, FD_CLOEXEC, O_RDWR } from "../../../../src/os/constants.ts";
import { EACCES, EMFILE, ENOSPC } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { grant } from "../journal/journal_fixture.ts";
import { JournalStage } from "./journal_stage.ts";

Deno.test("JournalPlace.make() makes its file, with a store or without", () => {
  for (const keeper of [false, true]) {
    using stage = new JournalStage();
    const place = new JournalPlace(stage.sources({ keeper }));
    assert.equal(place.found(), undefined);
    const { memory, file } = place.make();
    assert.deepEqual([file?.path, file?.fd], [stage.scratch.file("journal"), memory.fd]);
    assert.equal(existsSync(stage.scratch.file("journal")), true);
    assert.equal(stage.ledger.has(memory.fd), true);
  }
});

Deno.test("JournalPlace.make() makes memory where there can be no file and systemd keeps that, which is said", () => {
  using stage = new JournalStage({ mkdir: () => -EACCES });
  const { memory, file } = new JournalPlace(stage.sources({ keeper: true })).make();
  assert.equal(file, undefined);
  assert.equal(stage.ledger.has(memory.fd), true);
  assert.deepEqual(stage.log.lines, [
    `warning: The journal is in memory alone, and would be lost if systemd dropped its copy: mkdir ${stage.scratch.path}: Permission denied (EACCES)`,
  ]);
});

Deno.test("JournalPlace.make() makes memory where /run has no room for the whole file", () => {
  // Memory is no part of /run.
  let unnamed = -1;
  using stage = new JournalStage({
    pwrite: (fd, bytes, at) =>
      fd === unnamed || at === 0 ? kernel.pwrite(fd, bytes.subarray(0, 4096), at) : -ENOSPC,
    memfd: (name) => unnamed = kernel.memfd(name),
  });
  const { memory, file } = new JournalPlace(stage.sources({ keeper: true })).make();
  assert.equal(file, undefined);
  assert.deepEqual([...Deno.readDirSync(stage.scratch.path)], []);
  assert.deepEqual(stage.log.lines, [
    "warning: The journal is in memory alone, and would be lost if systemd dropped its copy: pwrite journal: No space left on device (ENOSPC)",
  ]);
  kernel.close(memory.fd);
});

Deno.test("JournalPlace.make() fails where nothing would keep the memory, or there is none", () => {
  using stage = new JournalStage({ mkdir: () => -EACCES });
  assert.throws(
    () => new JournalPlace(stage.sources()).make(),
    (error) => error instanceof SystemError && error.call === "mkdir" && error.errno === EACCES,
  );
  using poor = new JournalStage({ mkdir: () => -EACCES, memfd: () => -EMFILE });
  assert.throws(
    () => new JournalPlace(poor.sources({ keeper: true })).make(),
    (error) => error instanceof SystemError && error.call === "memfd_create" && error.errno === EMFILE,
  );
});

Deno.test("JournalPlace.found() is the file that is there; one in use is left, where systemd keeps memory", () => {
  using stage = new JournalStage();
  stage.file([grant(1)]);
  const place = new JournalPlace(stage.sources({ keeper: true }));
  const found = place.found();
  assert.ok(found instanceof JournalFile && stage.ledger.has(found.fd));
  assert.equal(place.found(), "barred");
  assert.deepEqual(stage.log.lines, [
    `warning: The journal is in memory alone, and would be lost if systemd dropped its copy: lock ${found.path}: Resource temporarily unavailable (EAGAIN)`,
  ]);
  assert.throws(
    () => new JournalPlace(stage.sources()).found(),
    (error) => error instanceof SystemError && error.call === "lock",
  );
});

Deno.test("JournalPlace.found() fails where the file says something that nobody must serve without", () => {
  using stage = new JournalStage({ ofdLock: () => -EACCES });
  stage.file([grant(1)]);
  assert.throws(
    () => new JournalPlace(stage.sources({ keeper: true })).found(),
    (error) => error instanceof SystemError && error.call === "lock",
  );
  assert.deepEqual(stage.log.lines, []);
});

Deno.test("JournalPlace.named() takes a descriptor that is the file's, and keeps it over no exec", () => {
  using stage = new JournalStage();
  const fd = stage.sys.open(stage.file([]), O_RDWR, 0);
  const place = new JournalPlace(stage.sources());
  assert.equal(place.named(fd)?.fd, fd);
  assert.equal(kernel.fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
  const other = stage.memory([]);
  assert.equal(place.named(other), undefined);
  assert.deepEqual([stage.ledger.has(fd), stage.ledger.has(other)], [true, false]);
});

Deno.test("JournalPlace.left() is a file that is there, and makes none", () => {
  using stage = new JournalStage();
  const place = new JournalPlace(stage.sources({ keeper: true }));
  assert.equal(place.left(), undefined);
  assert.deepEqual([existsSync(stage.scratch.file("journal")), stage.log.lines], [false, []]);
  stage.file([grant(1)]);
  assert.equal(place.left()?.path, stage.scratch.file("journal"));
});

Deno.test("JournalPlace.left() leaves one alone that cannot be used, and says so", () => {
  using stage = new JournalStage({ ofdLock: () => -EACCES });
  const path = stage.file([grant(1)]);
  assert.equal(new JournalPlace(stage.sources({ keeper: true })).left(), undefined);
  assert.deepEqual(stage.log.lines, [
    `error: A journal of an earlier daemon is left alone: lock ${path}: Permission denied (EACCES)`,
  ]);
});
