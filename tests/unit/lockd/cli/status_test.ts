import assert from "node:assert/strict";
import { statusCommand, statusText } from "../../../../src/lockd/cli/status.ts";
import { context, daemonWith, given, STATUS } from "./cli_fixture.ts";

Deno.test("statusText() shows how the daemon is doing", () => {
  assert.equal(
    statusText(STATUS),
    `version:        1.0.0
pid:            77
running since:  2026-11-21 13:09:38Z (1 h 1 min)
clients:        3 of 1024 (virtlockd), 1 of 5000 (admin)
locks:          2 exclusive, 1 shared, in 2 lockspaces, held by 3 processes
descriptors:    31 of 20000
idle timeout:   none
log level:      3
log filters:    none
log outputs:    3:stderr
`,
  );
});

Deno.test("statusText() shows what is out of the ordinary, and the parts that not every daemon has", () => {
  const text = statusText({
    ...STATUS,
    reExecs: 2,
    idleTimeout: 120,
    locks: { ...STATUS.locks, dying: 1, doubtful: 2, posix: 3 },
    logging: { level: 1, filters: "1:*a*", outputs: "1:stderr" },
    sections: {
      store: { present: true, stored: 12, limit: 65536, refused: 0, queued: 0 },
      storage: { "/mnt": "hung" },
    },
  });
  for (
    const line of [
      "running since:  2026-11-21 13:09:38Z (1 h 1 min), re-executed 2 times",
      "locks:          2 exclusive, 1 shared, in 2 lockspaces, held by 3 processes; 1 holder being killed; " +
      "2 doubtful; 3 inherited from libvirt's daemon",
      "idle timeout:   2 min 0 s",
      "log filters:    1:*a*",
      "store:          present true, stored 12, limit 65536, refused 0, queued 0",
      "storage:        /mnt hung",
    ]
  ) assert.equal(text.split("\n").includes(line), true, line);
});

Deno.test("statusText() says which versions the members of etcd are", () => {
  const cluster = {
    name: "prod",
    host: "h",
    session: "s",
    state: "live",
    locks: 3,
    local: 1,
    lost: 0,
    parked: 0,
    left: 0,
    releasing: 0,
    unknown: 0,
    etcd: [{ url: "https://etcd1:2379", version: "3.4.23", unsafe: "it is old" }],
    reboot: { state: "untrusted", reason: "this is a container", fenced: 0, kept: [] },
  } as const;
  const lines = statusText({ ...STATUS, sections: { storage: {}, cluster } }).split("\n");
  assert.deepEqual(lines.slice(-3), [
    "etcd:           https://etcd1:2379: version 3.4.23, UNSAFE: it is old, which may give one lock to two hosts; upgrade " +
    "each member to 3.4.32, 3.5.14, 3.6 or later",
    "cluster:        name prod, host h, session s, state live, locks 3, local 1, lost 0, parked 0, left 0, releasing 0, unknown 0, " +
    "reboot untrusted (this is a container)",
    "",
  ]);
});

Deno.test("statusText() says what fencing was in vain, and what stays of starts before", () => {
  const host = { host: "kvm9", session: "s-9", sinceMs: 1, failures: 0 };
  const cluster = {
    name: "prod",
    host: "h",
    session: "s",
    state: "live",
    locks: 3,
    parked: 0,
    left: 0,
    releasing: 0,
    unknown: 0,
    fencing: {
      command: "/fence",
      fault: "/fence is not there",
      hosts: [{ ...host, state: "watching" }, { ...host, state: "failed", failures: 2, reason: "why" }],
      fenced: 0,
      failures: 2,
    },
    reboot: {
      state: "trusted",
      fenced: 0,
      kept: [{ session: "s-1", boot: "b", locks: 2, reason: "it was on another machine" }],
    },
  } as const;
  const text = statusText({ ...STATUS, sections: { storage: {}, cluster } });
  assert.match(
    text,
    /unknown 0, fencing 2 hosts, 1 in vain \(\/fence is not there\), reboot trusted, 2 locks of before kept$/m,
  );
});

Deno.test("status prints the daemon's document with --json", async () => {
  const told = context(daemonWith({}).sys);
  assert.equal(await statusCommand.run(told, given(statusCommand, "--json")), 0);
  assert.deepEqual(JSON.parse(told.out.text), STATUS);
});
