import assert from "node:assert/strict";
import type { Log, LogMessage } from "../../../../src/chassis/log/log.ts";
import { EROFS, ESTALE } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { storageLog } from "../../../../src/lockd/storage/storage_log.ts";

Deno.test("storageLog() writes a line for everything that happens to storage", () => {
  const lines: string[] = [];
  const write = (level: string) => (message: LogMessage) =>
    void lines.push(`${level}: ${typeof message === "string" ? message : message()}`);
  const log: Log = {
    enabled: () => true,
    debug: write("debug"),
    info: write("info"),
    notice: write("notice"),
    warn: write("warn"),
    error: write("error"),
  };
  const observer = storageLog(log);
  observer.storageHung("storage at /net", "Unable to acquire lock on resource /net/a");
  observer.storageRecovered("storage at /net", 34_400);
  observer.storageLate("storage at /net", "cannot create file '/net/a': it was done in the end");
  observer.storageHelperEnded("storage at /net", "its helper process has ended");
  observer.ownerRecordFailed("/net/a", EROFS);
  observer.mountsUnreadable(new SystemError("read", "/proc/self/mountinfo", ESTALE));
  assert.deepEqual(lines, [
    "warn: Unable to acquire lock on resource /net/a: storage at /net does not answer, its helper process waits for it",
    "warn: Answer of storage at /net came after 34 s",
    "warn: Late answer of storage at /net: cannot create file '/net/a': it was done in the end",
    "error: Helper process for storage at /net failed: its helper process has ended",
    "warn: Write owner into /net/a: Read-only file system; other hosts will not see who holds it",
    "error: The list of mounts could not be read again, the one before stays in use: read /proc/self/mountinfo: Stale file handle (ESTALE)",
  ]);
});
