import assert from "node:assert/strict";
import { entryLine, syslogTime } from "../../../../src/chassis/log/log_entry.ts";
import { entry } from "./log_fixture.ts";

Deno.test("entryLine() writes libvirt's line with UTC time in milliseconds", () => {
  assert.equal(
    entryLine(entry()),
    "2026-11-21 02:55:58.250+0000: 21465: warning : locking.lock_daemon : text\n",
  );
});

Deno.test("entryLine() names each level", () => {
  const lines = ([1, 2, 3, 4] as const).map((level) => entryLine(entry({ level, time: 7 })));
  assert.deepEqual(lines, [
    "1970-01-01 00:00:00.007+0000: 21465: debug : locking.lock_daemon : text\n",
    "1970-01-01 00:00:00.007+0000: 21465: info : locking.lock_daemon : text\n",
    "1970-01-01 00:00:00.007+0000: 21465: warning : locking.lock_daemon : text\n",
    "1970-01-01 00:00:00.007+0000: 21465: error : locking.lock_daemon : text\n",
  ]);
});

Deno.test("syslogTime() is local time with a blank before a single-digit day", () => {
  assert.equal(syslogTime(new Date(2026, 10, 5, 9, 8, 7).getTime()), "Nov  5 09:08:07");
  assert.equal(syslogTime(new Date(2026, 0, 31, 23, 59, 0).getTime()), "Jan 31 23:59:00");
});
