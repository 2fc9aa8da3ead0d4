import assert from "node:assert/strict";
import { configureSync, type LogRecord, resetSync } from "@logtape/logtape";
import { levelsChanged } from "../../../../src/chassis/log/log.ts";
import { Repeats } from "../../../../src/chassis/log/repeats.ts";
import { eventLog } from "../../../../src/lockd/reporting/event_log.ts";
import type { DaemonObserver } from "../../../../src/lockd/reporting/observers.ts";
import type { Settling } from "../../../../src/lockd/lockspace/settler.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { holding, resource, UUID } from "../programs/lock_fixture.ts";

const OWNER = holding(42).owner;
const OWNED = [1, 2, 3, 4].map((id) => resource({ id }));
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
  levelsChanged();
  try {
    tell(eventLog(new Repeats(() => {})));
  } finally {
    resetSync();
    levelsChanged();
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

Deno.test("eventLog() says until when the lock of a guest stays that is gone", () => {
  const settling = (verdict: Settling["verdict"], left: number | undefined): Settling => ({
    resource: resource({ id: 1, name: "r" }),
    holding: holding(42),
    since: 0,
    untold: undefined,
    verdict,
    left,
    told: undefined,
    over: undefined,
  });
  const stays = `warning: Resource 'r' of ${WHO} stays locked although its process is gone: `;
  const unknown = { kind: "unknown", reason: "who knows" } as const;
  assert.equal(
    line((log) => log.settling?.(settling(unknown, 29_001))),
    `${stays}who knows; it is released within 30 s`,
  );
  assert.equal(
    line((log) => log.settling?.(settling({ kind: "busy", reason: "it writes" }, undefined))),
    `${stays}it writes; it is released when that is over`,
  );
});

Deno.test("eventLog() says which guest runs unprotected because its lock is lost, and that it has it again", () => {
  const lost = resource({ id: 1, name: "r", state: { kind: "lost", reason: "somebody else holds it now" } });
  assert.equal(
    line((log) => log.lost?.(lost, "ended with the last daemon and could not be taken again yet")),
    `error: The lock on 'r' of ${WHO} ended with the last daemon and could not be taken again yet: ` +
      "somebody else holds it now; its guest runs unprotected",
  );
  assert.equal(
    line((log) => log.regained?.({ ...lost, state: { kind: "held" } })),
    `warning: The lock on 'r' of ${WHO} ended with the last daemon: it is taken again, but was free for a while`,
  );
});

Deno.test("eventLog() names the guest of a process that has ended, also by what the daemon calls that process", () => {
  const inside = { ...OWNER, pid: 1, namespace: "4026532500", hostPid: 30838 };
  const lock = resource({ id: 1, name: "r", holdings: [{ owner: inside, since: 0 }] });
  assert.equal(
    line((log) => log.gone?.({ key: "4026532500/1", pid: 30838 }, [lock], false)),
    `info: The process of ${WHO.replace("pid 42", "pid 1")} has ended: releasing 1 resource ('r')`,
  );
  assert.equal(
    line((log) => log.gone?.({ key: 7, pid: 7 }, [lock], false)),
    "info: Process 7 has ended: releasing 1 resource ('r')",
  );
});

Deno.test("eventLog() counts what one guest is refused again and again, whose process is another each time", () => {
  const told = records((log) => {
    for (let pid = 100; pid < 130; pid++) {
      const action = `Resource r is not locked for process ${pid}, which has ended`;
      log.refused?.({ ...OWNER, pid }, { kind: "system", action, errno: 3 });
    }
  });
  assert.equal(told.length, 1);
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
  assert.equal(
    line((log) => log.signalled?.(42, "SIGTERM", OWNED)),
    `warning: Killing ${WHO}: its connection to this daemon has ended, and it could write to 4 resources ` +
      "('r1', 'r2', 'r3' and 1 more) without a lock. Sent SIGTERM; its locks stay until its process is gone",
  );
  assert.equal(
    line((log) => log.gone?.({ key: 42, pid: 42 }, OWNED.slice(0, 1), true)),
    `warning: Killed ${WHO}: its process is gone, releasing 1 resource ('r1')`,
  );
  assert.equal(
    line((log) => log.gone?.({ key: 42, pid: 42 }, OWNED.slice(0, 2), false)),
    `info: The process of ${WHO} has ended: releasing 2 resources ('r1', 'r2')`,
  );
});

Deno.test("eventLog() gives journald the domain, uuid and resources of a killed holder", () => {
  const [record] = records((log) => log.signalled?.(42, "SIGKILL", OWNED.slice(0, 2)));
  const { domain, uuid, ownerPid, resource: names, lockspace } = record?.properties ?? {};
  assert.deepEqual({ domain, uuid, ownerPid, names, lockspace }, {
    domain: "guest",
    uuid: UUID,
    ownerPid: 42,
    names: ["r1", "r2"],
    lockspace: ["/ls"],
  });
});

Deno.test("eventLog() names a holder whose name libvirt's daemon did not tell by its process", () => {
  const unnamed = resource({ id: 1, name: "r", holdings: [holding(42, "")] });
  assert.equal(
    line((log) => log.gone?.({ key: 42, pid: 42 }, [unnamed], true)),
    "warning: Killed the guest of process 42: its process is gone, releasing 1 resource ('r')",
  );
});

Deno.test("eventLog() tells a refusal that repeats once, whatever process asks, and then how often it came", () => {
  const tasks: (() => void)[] = [];
  const again = { ...OWNER, pid: 43 };
  const refusal = { kind: "not-held", resource: "r" } as const;
  const all = records((_) => {
    const log = eventLog(new Repeats((_milliseconds, task) => tasks.push(task)));
    for (const owner of [OWNER, again, again]) log.refused?.(owner, refusal);
    log.refused?.(again, { kind: "not-held", resource: "s" });
    for (const task of tasks.splice(0)) task();
  });
  assert.deepEqual(all.map(({ message }) => message[0]), [
    `Refused ${WHO}: Lockspace resource 'r' is not locked`,
    `Refused domain 'guest' (uuid ${UUID}, pid 43): Lockspace resource 's' is not locked`,
    `Refused domain 'guest' (uuid ${UUID}, pid 43): Lockspace resource 'r' is not locked (2 times more in 10 s)`,
  ]);
});

Deno.test("eventLog() logs at error what an administrator has to look at", () => {
  assert.match(
    line((log) => log.signalFailed?.(42, new SystemError("pidfd_send_signal", "process 42", 1), OWNED)),
    /^error: Could not kill domain 'guest' .*: pidfd_send_signal process 42: Operation not permitted.*; 4 resources .* cannot be used by another guest until its process ends$/,
  );
  const lock = resource({ id: 1, name: "r" });
  const whose = `The lock on 'r' of domain 'guest' (uuid ${UUID}, pid 42)`;
  const failure = { kind: "system", action: "Unable to unlink resource r", errno: 30 } as const;
  assert.equal(
    line((log) => log.troubled?.(lock, { ...failure, released: false })),
    `error: ${whose} could not be released, and is kept: Unable to unlink resource r: Read-only file system`,
  );
  assert.equal(
    line((log) => log.troubled?.(lock, { ...failure, released: true })),
    `error: ${whose} was released, but its file was left behind: Unable to unlink resource r: Read-only file system`,
  );
});
