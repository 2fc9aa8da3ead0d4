import assert from "node:assert/strict";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { replaceFile } from "../../../../src/chassis/cli/replace_file.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { inDirectory } from "../log/log_fixture.ts";

const ENOSPC = 28;

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

Deno.test(
  "replaceFile() makes a file, and replaces one, with the mode it was given",
  inDirectory((directory) => {
    const path = `${directory}/metrics.prom`;
    replaceFile(linuxSys(), path, "first\n", 0o644);
    const before = Deno.statSync(path);
    replaceFile(linuxSys(), path, "second\n", 0o644);
    assert.equal(Deno.readTextFileSync(path), "second\n");
    const after = Deno.statSync(path);
    assert.equal((after.mode ?? 0) & 0o777, 0o644);
    assert.notEqual(after.ino, before.ino);
    assert.deepEqual(names(directory), ["metrics.prom"]);
  }),
);

Deno.test(
  "replaceFile() leaves the old file, and nothing else, when anything fails",
  inDirectory((directory) => {
    const path = `${directory}/metrics.prom`;
    replaceFile(linuxSys(), path, "old\n", 0o600);
    const failures: Partial<Sys>[] = [
      { open: () => -ENOSPC },
      { write: () => -ENOSPC },
      { fchmod: () => -ENOSPC },
      { fsync: () => -ENOSPC },
      { rename: () => -ENOSPC },
    ];
    for (const failure of failures) {
      assert.throws(
        () => replaceFile({ ...linuxSys(), ...failure }, path, "new\n", 0o600),
        (error) =>
          error instanceof CommandError && error.code === 1 &&
          error.message === `Write ${path}: No space left on device`,
      );
      assert.equal(Deno.readTextFileSync(path), "old\n");
      assert.deepEqual(names(directory), ["metrics.prom"]);
    }
  }),
);

Deno.test(
  "replaceFile() names a directory that is not there",
  inDirectory((directory) => {
    const path = `${directory}/none/x.prom`;
    assert.throws(
      () => replaceFile(linuxSys(), path, "", 0o600),
      (error) =>
        error instanceof CommandError && error.message === `Write ${path}: No such file or directory`,
    );
  }),
);
