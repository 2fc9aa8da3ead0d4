import assert from "node:assert/strict";
import { O_RDWR } from "../../../../src/os/constants.ts";
import { EIO, ENOSPC } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import { emptyStatus, type Sys } from "../../../../src/os/sys.ts";
import { must } from "../../../../src/os/system_error.ts";
import { type FileIdentity, identityOf } from "../../../../src/lockd/lockspace/file_identity.ts";
import { readRecord, settleRecord } from "../../../../src/lockd/storage/owner_record.ts";
import { inDirectory, sysWith } from "../../../support/storage_fixture.ts";

const HOST = Deno.hostname();

function settle(path: string, text: string | undefined, sys: Sys = linuxSys()): number {
  const fd = must(sys.open(path, O_RDWR, 0), "open", path);
  try {
    return settleRecord(sys, fd, text);
  } finally {
    sys.close(fd);
  }
}

function identity(path: string): FileIdentity {
  const status = emptyStatus();
  must(linuxSys().stat(path, status), "stat", path);
  return identityOf(status);
}

/** Settles a record in a file with this content; the content then. */
function settled(directory: string, content: string, text: string | undefined): string {
  const path = `${directory}/lock`;
  Deno.writeTextFileSync(path, content);
  assert.equal(settle(path, text), 0);
  return Deno.readTextFileSync(path);
}

Deno.test(
  "settleRecord() writes host and owner into an empty file",
  inDirectory((directory) => {
    assert.equal(
      settled(directory, "", "domain 'a' (pid 1)"),
      `virtlockd-owner: ${HOST}, domain 'a' (pid 1)\n`,
    );
  }),
);

Deno.test(
  "settleRecord() replaces a longer record of a host that crashed",
  inDirectory((directory) => {
    const old = `virtlockd-owner: other, ${"x".repeat(500)}\n`;
    assert.equal(settled(directory, old, "domain 'a'"), `virtlockd-owner: ${HOST}, domain 'a'\n`);
  }),
);

Deno.test(
  "settleRecord() removes an old record when there is none to write",
  inDirectory((directory) => {
    assert.equal(settled(directory, "virtlockd-owner: other, domain 'b'\n", undefined), "");
  }),
);

Deno.test(
  "settleRecord() leaves a file with anything else in it alone",
  inDirectory((directory) => {
    assert.equal(settled(directory, "QFI\xfb disk", "domain 'a'"), "QFI\xfb disk");
    assert.equal(settled(directory, "virtlockd-owner", undefined), "virtlockd-owner");
  }),
);

Deno.test("settleRecord() writes nothing into a device", () => {
  assert.equal(settle("/dev/null", "domain 'a'", sysWith({ pwrite: () => assert.fail("written") })), 0);
});

const FAULTS: [call: "fstat" | "pread" | "ftruncate" | "pwrite" | "fsync", content: string][] = [
  ["fstat", ""],
  ["pread", "virtlockd-owner: x\n"],
  ["ftruncate", "virtlockd-owner: x\n"],
  ["pwrite", ""],
  ["fsync", ""],
];
for (const [call, content] of FAULTS) {
  Deno.test(
    `settleRecord() tells that ${call} failed`,
    inDirectory((directory) => {
      Deno.writeTextFileSync(`${directory}/lock`, content);
      assert.equal(settle(`${directory}/lock`, "domain 'a'", sysWith({ [call]: () => -ENOSPC })), -ENOSPC);
    }),
  );
}

/** The record that is found in a file with this content. */
function found(directory: string, content: string, sys: Sys = linuxSys()): string | undefined {
  const path = `${directory}/lock`;
  Deno.writeTextFileSync(path, content);
  return readRecord(sys, path, identity(path));
}

Deno.test(
  "readRecord() reads what settleRecord() wrote",
  inDirectory((directory) => {
    settled(directory, "", "domain 'a\udcff'");
    const path = `${directory}/lock`;
    assert.equal(readRecord(linuxSys(), path, identity(path)), `${HOST}, domain 'a\udcff'`);
  }),
);

Deno.test(
  "readRecord() reads the first line without control characters",
  inDirectory((directory) => {
    assert.equal(found(directory, "virtlockd-owner: a\x1b[2Jb\x7f\r\nsecond"), "a?[2Jb??");
  }),
);

Deno.test(
  "readRecord() finds none in a file that begins otherwise, is long, or cannot be read",
  inDirectory((directory) => {
    assert.equal(found(directory, ""), undefined);
    assert.equal(found(directory, "disk"), undefined);
    assert.equal(found(directory, `virtlockd-owner: ${"x".repeat(1024)}`), undefined);
    assert.equal(found(directory, "virtlockd-owner: a\n", sysWith({ pread: () => -EIO })), undefined);
  }),
);

Deno.test(
  "readRecord() finds none when the path is absent, a link, or names another file by now",
  inDirectory((directory) => {
    Deno.writeTextFileSync(`${directory}/a`, "virtlockd-owner: a\n");
    Deno.writeTextFileSync(`${directory}/b`, "virtlockd-owner: b\n");
    Deno.symlinkSync(`${directory}/a`, `${directory}/link`);
    const a = identity(`${directory}/a`);
    assert.equal(readRecord(linuxSys(), `${directory}/absent`, a), undefined);
    assert.equal(readRecord(linuxSys(), `${directory}/link`, a), undefined);
    assert.equal(readRecord(linuxSys(), `${directory}/b`, a), undefined);
  }),
);

Deno.test(
  "settleRecord() and readRecord() close what they open",
  inDirectory((directory) => {
    const open = new Set<number>();
    const real = linuxSys();
    const sys: Sys = {
      ...real,
      open(path, flags, mode) {
        const fd = real.open(path, flags, mode);
        if (fd >= 0) open.add(fd);
        return fd;
      },
      close(fd) {
        open.delete(fd);
        return real.close(fd);
      },
    };
    const path = `${directory}/lock`;
    Deno.writeTextFileSync(path, "");
    const fd = must(real.open(path, O_RDWR, 0), "open", path);
    settleRecord(sys, fd, "a");
    readRecord(sys, path, identity(path));
    real.close(fd);
    assert.equal(open.size, 0);
  }),
);
