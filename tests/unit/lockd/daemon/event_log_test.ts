import assert from "node:assert/strict";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { eventLog } from "../../../../src/lockd/daemon/event_log.ts";
import type { DaemonObserver } from "../../../../src/lockd/daemon/observers.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { holding, resource, UUID } from "../programs/lock_fixture.ts";

const OWNER = holding(42).owner;
const WHO = `domain 'guest' (uuid ${UUID}, pid 42)`;

/** Records that an event makes. */
function records(tell: (log: Partial<DaemonObserver>) => void): LogRecord[] {
  const all: LogRecord[] = [];
  configureSync({
    reset: true,
    sinks: { all: (record) => void all.push(record) },
    loggers: [
      { category: [], sinks: ["all"], lowestLevel: "debug" },
      { category: ["logtape", "meta"], parentSinks: "override", lowestLevel: "error" },
    ],
  });
  try {
    tell(eventLog());
  } finally {
    resetSync();
  }
  return all;
}

/** Level and text of the one record that an event makes. */
function line(tell: (log: Partial<DaemonObserver>) => void): string {
  const [record, ...more] = records(tell);
  assert.equal(more.length, 0);
  return record === undefined ? "" : `${record.level}: ${record.message[0]}`;
}

Deno.test("eventLog() logs locks with mode and owner at info", () => {
  const lock = resource({ id: 1, name: "r" });
  assert.equal(
    line((log) => log.granted?.(lock, holding(42))),
    `info: Locked resource 'r' (exclusive) for ${WHO}`,
  );
  const shared = { ...lock, shared: true, autocreate: true };
  assert.equal(
    line((log) => log.granted?.(shared, holding(42))),
    `info: Locked resource 'r' (shared, autocreated) for ${WHO}`,
  );
  assert.equal(line((log) => log.released?.(lock, OWNER, true)), `info: Released resource 'r' of ${WHO}`);
  assert.equal(
    line((log) => log.released?.(lock, OWNER, false)),
    `info: Released resource 'r' of ${WHO}, others still share it`,
  );
});

Deno.test("eventLog() gives journald the domain, owner and resource of a lock", () => {
  const [record] = records((log) => log.granted?.(resource({ id: 1, name: "r" }), holding(42)));
  const { domain, uuid, ownerPid, resource: name, lockspace } = record?.properties ?? {};
  assert.deepEqual({ domain, uuid, ownerPid, name, lockspace }, {
    domain: "guest",
    uuid: UUID,
    ownerPid: 42,
    name: "r",
    lockspace: "/ls",
  });
});

Deno.test("eventLog() logs refusals and what happens to holders at warning", () => {
  assert.equal(
    line((log) => log.refused?.(OWNER, { kind: "not-held", resource: "r" })),
    `warning: Refused ${WHO}: Lockspace resource 'r' is not locked`,
  );
  assert.match(
    line((log) => log.signalled?.(42, "SIGTERM", 3)),
    /^warning: Sent SIGTERM to process 42: .* it held 3 locks, which stay until it is gone$/,
  );
  assert.equal(
    line((log) => log.gone?.(42, 3, true)),
    "warning: Holder process 42 is gone, ended by this daemon: releasing 3 locks",
  );
  assert.equal(line((log) => log.gone?.(42, 3, false)), "info: Holder process 42 is gone: releasing 3 locks");
});

Deno.test("eventLog() logs at error what an administrator has to look at", () => {
  assert.match(
    line((log) => log.signalFailed?.(42, new SystemError("pidfd_send_signal", "process 42", 1))),
    /^error: Could not end process 42, .*: pidfd_send_signal process 42: Operation not permitted .*; its locks stay$/,
  );
  const lock = resource({ id: 1, name: "r" });
  const failure = { kind: "system", action: "Unable to unlink resource r", errno: 30 } as const;
  assert.equal(
    line((log) => log.troubled?.(lock, { ...failure, released: false })),
    "error: Unable to unlink resource r: Read-only file system; the lock is kept",
  );
  assert.equal(
    line((log) => log.troubled?.(lock, { ...failure, released: true })),
    "error: Unable to unlink resource r: Read-only file system; its lock has gone all the same",
  );
});
