import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { F_DUPFD_CLOEXEC, F_GETFD } from "../../../../src/os/constants.ts";
import { EBADF, EIO, EMFILE, ENOENT } from "../../../../src/os/errno.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import type { StorageResult, StorageTask } from "../../../../src/lockd/storage/helper_protocol.ts";
import { HelperScript, hold, resultOf, task } from "../../../support/helper_script.ts";
import { inDirectory } from "../../../support/storage_fixture.ts";

Deno.test(
  "a helper makes and removes files and directories",
  inDirectory((directory) => {
    const steps: [StorageTask, StorageResult][] = [
      [{ op: "make-directory", path: `${directory}/d/e` }, { kind: "done" }],
      [{ op: "create", path: `${directory}/d/e/f`, followLinks: false }, { kind: "done" }],
      [{ op: "make-directory", path: `${directory}/d/e/f` }, {
        kind: "done",
        failure: { kind: "not-a-directory", path: `${directory}/d/e/f` },
      }],
      [{ op: "remove", path: `${directory}/d/e/f` }, { kind: "done" }],
      [{ op: "remove", path: `${directory}/d/e` }, {
        kind: "done",
        failure: {
          kind: "system",
          action: `Unable to delete lockspace resource ${directory}/d/e`,
          errno: 21,
        },
      }],
    ];
    const sent = new HelperScript(steps.map(([what], id) => task(id, what))).run();
    assert.deepEqual(sent, steps.map(([, result], id) => ({ kind: "result", id, result })));
    assert.equal(existsSync(`${directory}/d/e`), true);
  }),
);

/** Asks a helper for the holder of a file that this process holds, or nobody does. */
function holderOf(path: string, shared: boolean, faults: Partial<Sys> = {}): StorageResult {
  const status = Deno.statSync(path);
  const device = status.dev;
  const identity = {
    devMajor: device >> 8,
    devMinor: device & 0xff,
    inodeLow: (status.ino ?? 0) % 0x1_0000_0000,
    inodeHigh: Math.floor((status.ino ?? 0) / 0x1_0000_0000),
  };
  return resultOf(new HelperScript([task(1, { op: "find-holder", path, identity, shared })], faults).run());
}

Deno.test(
  "a helper finds the process that holds a file",
  inDirectory((directory) => {
    const fd = hold(`${directory}/a`);
    const result = holderOf(`${directory}/a`, true);
    linuxSys().close(fd);
    assert.equal(result.kind === "holder" && result.holder.kind === "process" && result.holder.pid, Deno.pid);
  }),
);

Deno.test(
  "a helper finds another host's record only where other hosts may hold the file",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    Deno.writeTextFileSync(path, "virtlockd-owner: beta, domain 'b'\n");
    assert.deepEqual(holderOf(path, true), {
      kind: "holder",
      holder: { kind: "record", text: "beta, domain 'b'" },
    });
    assert.deepEqual(holderOf(path, false), { kind: "holder", holder: { kind: "unknown" } });
    Deno.writeTextFileSync(path, "");
    assert.deepEqual(holderOf(path, true), { kind: "holder", holder: { kind: "other-host" } });
  }),
);

Deno.test(
  "a helper does not call a holder another host's when it could not look",
  inDirectory((directory) => {
    const path = `${directory}/a`;
    Deno.writeTextFileSync(path, "virtlockd-owner: beta, domain 'b'\n");
    const real = linuxSys();
    const open: Sys["open"] = (name, flags, mode) =>
      name === "/proc/locks" ? -ENOENT : real.open(name, flags, mode);
    assert.deepEqual(holderOf(path, true, { open }), { kind: "holder", holder: { kind: "unknown" } });
  }),
);

Deno.test(
  "a helper asks the storage of a descriptor for its locks, and closes its copy",
  inDirectory((directory) => {
    const fd = hold(`${directory}/a`);
    const real = linuxSys();
    const copy = real.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    const ask = { message: task(1, { op: "probe", path: "/p" }), descriptors: [copy] };
    assert.deepEqual(resultOf(new HelperScript([ask]).run()), { kind: "done" });
    assert.equal(real.fcntl(copy, F_GETFD, 0), -EBADF);
    real.close(fd);
    const action = "Unable to ask for locks on /p";
    const failed = (errno: number) => ({ kind: "done", failure: { kind: "system", action, errno } });
    assert.deepEqual(
      resultOf(new HelperScript([task(1, { op: "probe", path: "/p" })]).run()),
      failed(EMFILE),
    );
    const again = { message: task(1, { op: "probe", path: "/p" }), descriptors: [hold(`${directory}/b`)] };
    assert.deepEqual(resultOf(new HelperScript([again], { ofdProbe: () => -EIO }).run()), failed(EIO));
  }),
);

Deno.test("a helper runs a program and waits for it", () => {
  const real = linuxSys();
  const command = { path: "/bin/sh", argv: ["sh", "-c", "echo $A; exit 3"], env: ["A=b"] };
  const script = new HelperScript([task(1, { op: "run", command, limit: 20_000 })], { spawn: real.spawn });
  assert.deepEqual(resultOf(script.run()), {
    kind: "ran",
    program: { kind: "ended", code: 3, output: "b\n" },
  });
});

Deno.test("a helper says when it may not open the file whose last writes it is to bring to the medium", () => {
  const script = new HelperScript([task(1, { op: "sync", path: "/mnt/a" })], { open: () => -13 });
  assert.deepEqual(script.run(), [{
    kind: "result",
    id: 1,
    result: {
      kind: "denied",
      verdict: {
        kind: "unknown",
        reason: "/mnt/a cannot be opened to bring its last writes to the medium: Permission denied",
      },
    },
  }]);
});
