import assert from "node:assert/strict";
import { FileOutput } from "../../../../src/chassis/log/file_output.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { entry, inDirectory, line, sysWith } from "./log_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const ENOENT = 2;
const ENXIO = 6;
const ENOSPC = 28;
const F_GETFD = 1;

Deno.test(
  "FileOutput send() appends to a file that only its owner may read",
  inDirectory((directory) => {
    const path = `${directory}/a.log`;
    for (const text of ["one", "two"]) {
      const output = new FileOutput(linuxSys(), path);
      assert.equal(output.send(entry({ text })), 0);
      output.close();
    }
    assert.equal(Deno.readTextFileSync(path), line("one") + line("two"));
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
  }),
);

Deno.test(
  "FileOutput opens close-on-exec and close() frees the descriptor",
  inDirectory((directory) => {
    let opened = -1;
    const real = linuxSys();
    const sys = sysWith({ open: (path, flags, mode) => opened = real.open(path, flags, mode) });
    const before = openDescriptors();
    const output = new FileOutput(sys, `${directory}/a.log`);
    assert.equal(real.fcntl(opened, F_GETFD, 0), 1);
    output.close();
    assert.deepEqual(openedSince(before), []);
  }),
);

Deno.test(
  "FileOutput throws SystemError with the path when the file cannot be opened",
  inDirectory((directory) => {
    const path = `${directory}/none/a.log`;
    assert.throws(() => new FileOutput(linuxSys(), path), (error) => {
      assert.ok(error instanceof SystemError);
      assert.deepEqual([error.call, error.subject, error.errno], ["open", path, ENOENT]);
      return true;
    });
  }),
);

Deno.test(
  "FileOutput refuses a named pipe without a reader instead of waiting for one",
  inDirectory((directory) => {
    const path = `${directory}/pipe`;
    assert.equal(new Deno.Command("mkfifo", { args: [path] }).outputSync().code, 0);
    assert.throws(() => new FileOutput(linuxSys(), path), (error) => {
      return error instanceof SystemError && error.errno === ENXIO;
    });
  }),
);

Deno.test(
  "FileOutput reopen() goes on in a new file after a rename",
  inDirectory((directory) => {
    const path = `${directory}/a.log`;
    const output = new FileOutput(linuxSys(), path);
    const descriptors = openDescriptors();
    output.send(entry({ text: "old" }));
    Deno.renameSync(path, `${path}.1`);
    output.send(entry({ text: "still old" }));
    assert.equal(output.reopen(), 0);
    output.send(entry({ text: "new" }));
    assert.equal(Deno.readTextFileSync(`${path}.1`), line("old") + line("still old"));
    assert.equal(Deno.readTextFileSync(path), line("new"));
    // The old file would be among them by its new name.
    assert.deepEqual(openedSince(descriptors).map((descriptor) => descriptor.replace(/^\d+ /, "")), [path]);
    output.close();
  }),
);

Deno.test(
  "FileOutput reopen() keeps the old descriptor when the path cannot be opened",
  inDirectory((directory) => {
    const path = `${directory}/sub/a.log`;
    Deno.mkdirSync(`${directory}/sub`);
    const output = new FileOutput(linuxSys(), path);
    Deno.renameSync(`${directory}/sub`, `${directory}/moved`);
    assert.equal(output.reopen(), -ENOENT);
    assert.equal(output.send(entry({ text: "kept" })), 0);
    assert.equal(Deno.readTextFileSync(`${directory}/moved/a.log`), line("kept"));
    output.close();
  }),
);

Deno.test(
  "FileOutput send() returns -ENOSPC while the disk is full and works afterwards",
  inDirectory((directory) => {
    const path = `${directory}/a.log`;
    const real = linuxSys();
    let full = true;
    const output = new FileOutput(sysWith({ write: (fd, b) => full ? -ENOSPC : real.write(fd, b) }), path);
    assert.equal(output.send(entry({ text: "lost" })), -ENOSPC);
    full = false;
    assert.equal(output.send(entry({ text: "back" })), 0);
    assert.equal(Deno.readTextFileSync(path), line("back"));
    output.close();
  }),
);
