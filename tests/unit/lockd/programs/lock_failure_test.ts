import assert from "node:assert/strict";
import type { HeldReport, Refusal } from "../../../../src/lockd/lockspace/refusal.ts";
import { lockFailure, refusalText } from "../../../../src/lockd/programs/lock_failure.ts";
import { holding, UUID } from "./lock_fixture.ts";

function held(parts: Partial<HeldReport> = {}): Refusal {
  return {
    kind: "held",
    resource: "r",
    held: { name: "r", holdings: [holding(42)], dying: false, ...parts },
  };
}

const HELD: HeldReport = { name: "r", holdings: [{ ...holding(42), since: 0 }], dying: false };
const ASKER = { ...holding(42).owner, uuid: "6ba7b810-9dad-41d1-80b4-00000000002b" };
const WHO = `domain 'guest' (uuid ${UUID}, pid 42) since 1970-01-01T00:00:01Z`;
const LOCKED = "resource busy: Lockspace resource 'r' is locked";

/** Every refusal with code, domain, message and first integer of its error. */
const FAILURES: readonly (readonly [Refusal, number, number, string, number])[] = [
  [
    { kind: "lockspace-missing", path: "/l" },
    1,
    7,
    "internal error: Lockspace for path /l does not exist",
    -1,
  ],
  [
    { kind: "lockspace-exists", path: "/l" },
    1,
    7,
    "internal error: Lockspace for path /l already exists",
    -1,
  ],
  [
    { kind: "default-lockspace-exists" },
    55,
    7,
    "Requested operation is not valid: the default lockspace already exists",
    -1,
  ],
  [
    { kind: "lockspace-missing", path: "/l", reason: "it is a trap" },
    1,
    7,
    "internal error: Lockspace for path /l does not exist, and its directory cannot be used: it is a trap",
    -1,
  ],
  [
    {
      kind: "misplaced",
      path: "/l",
      wanted: { source: "nas:/l", type: "nfs4", point: "/l" },
      found: { source: "/dev/sda1", type: "ext4", point: "/", device: 1 },
    },
    1,
    51,
    "internal error: Lock directory /l belongs on nas:/l (nfs4), mounted at /l, but is now on /dev/sda1 (ext4), " +
    "mounted at /: other hosts would not see a lock there. Mount nas:/l again",
    -1,
  ],
  [
    {
      kind: "misplaced",
      path: "/l",
      wanted: { source: "tmpfs", type: "tmpfs", point: "/l" },
      found: { source: "tmpfs", type: "tmpfs", point: "/l", device: 1 },
    },
    1,
    51,
    "internal error: Lock directory /l belongs on tmpfs (tmpfs), mounted at /l, but is now on another tmpfs (tmpfs), " +
    "mounted at /l: other hosts would not see a lock there. Mount tmpfs again",
    -1,
  ],
  [
    { kind: "adopted", path: "/l", resource: "r" },
    55,
    51,
    "Requested operation is not valid: Resource 'r' is not made in /l, which nobody has registered: " +
    'name the directory in "lockspaces" of virtlockd.conf',
    -1,
  ],
  [
    { kind: "settling", resource: "r", reason: "it writes" },
    87,
    51,
    "resource busy: Lockspace resource 'r' stays locked although its owner's process is gone, because it writes",
    -1,
  ],
  [
    held({ settling: "it writes" }),
    87,
    51,
    `${LOCKED} by ${WHO}; its process is gone, but the lock stays because it writes`,
    -1,
  ],
  [
    { kind: "not-a-directory", path: "/l" },
    1,
    51,
    "internal error: Lockspace location /l exists, but is not a directory",
    -1,
  ],
  [
    { kind: "bad-name", resource: "../r", reason: "it climbs" },
    8,
    51,
    "invalid argument: Name '../r' cannot be used: it climbs",
    -1,
  ],
  [
    { kind: "not-owner", resource: "r", asker: { ...ASKER, pid: 9 }, held: HELD },
    1,
    51,
    "internal error: owner 9 does not hold the resource lock",
    -1,
  ],
  [
    { kind: "not-owner", resource: "r", asker: ASKER, held: HELD },
    1,
    51,
    `internal error: owner 42 does not hold the resource lock, but domain 'guest' (uuid ${UUID}, pid 42) with the same process id`,
    -1,
  ],
  [
    { kind: "system", action: "Unable to open resource r", errno: 2 },
    38,
    51,
    "Unable to open resource r: No such file or directory",
    2,
  ],
  [
    { kind: "system", action: "cannot create file 'r'", errno: 21, local: true },
    38,
    0,
    "cannot create file 'r': Is a directory",
    21,
  ],
  [
    { kind: "storage", action: "Unable to lock r", reason: "no answer" },
    1,
    51,
    "internal error: Unable to lock r: no answer",
    -1,
  ],
  [{ kind: "not-held", resource: "r" }, 87, 51, "resource busy: Lockspace resource 'r' is not locked", -1],
  [
    { kind: "pending", resource: "r", owner: "guest" },
    87,
    51,
    "resource busy: Lockspace resource 'r' is just being locked for domain 'guest'",
    -1,
  ],
  [{ kind: "releasing", resource: "r" }, 87, 51, `${LOCKED} until slow storage has released it`, -1],
  [
    { kind: "owner-dying", resource: "r", pid: 9 },
    87,
    51,
    "resource busy: Lockspace resource 'r' cannot change hands: its owner, process 9, is being killed",
    -1,
  ],
  [
    { kind: "pid-settling", resource: "r", pid: 9 },
    87,
    51,
    "resource busy: Lockspace resource 'r' is not locked for process 9 yet: an earlier process with this id is gone, " +
    "but its last writes may not have landed, and the two cannot be told apart",
    -1,
  ],
  [held(), 87, 51, `${LOCKED} by ${WHO}`, -1],
  [held({ name: "other" }), 87, 51, `${LOCKED} as 'other' by ${WHO}`, -1],
  [
    held({ dying: true }),
    87,
    51,
    `${LOCKED} by ${WHO}; the holder is being killed, try again when it is gone`,
    -1,
  ],
  [
    { kind: "held-elsewhere", resource: "r", by: { kind: "process", pid: 9, command: "qemu" } },
    87,
    51,
    `${LOCKED} by process 9 (qemu), which is not known here`,
    -1,
  ],
  [
    { kind: "held-elsewhere", resource: "r", by: { kind: "process", pid: 9, command: "" } },
    87,
    51,
    `${LOCKED} by process 9, which is not known here`,
    -1,
  ],
  [
    { kind: "held-elsewhere", resource: "r", by: { kind: "record", text: "host b, domain 'web'" } },
    87,
    51,
    `${LOCKED} by its recorded holder: host b, domain 'web'`,
    -1,
  ],
  [
    { kind: "held-elsewhere", resource: "r", by: { kind: "file-system", mount: "/mnt" } },
    87,
    51,
    `${LOCKED} by the FUSE file system at /mnt, for another host, or still for a process that has ended: then it goes ` +
    "when that is unmounted and mounted again",
    -1,
  ],
  [
    {
      kind: "held-elsewhere",
      resource: "r",
      by: {
        kind: "host",
        host: "kvm7",
        silentSince: 1_795_266_578_207,
        shared: false,
        domain: "web",
        uuid: "6ba7b810-9dad-41d1-80b4-00000000002a",
        pid: 9,
        since: 0,
      },
    },
    87,
    51,
    `${LOCKED} by domain 'web' (uuid 6ba7b810-9dad-41d1-80b4-00000000002a, pid 9) on host 'kvm7', of which nothing ` +
    "is heard since 2026-11-21T13:09:38Z or earlier: make sure that it is off and stays off, then free its " +
    "locks: virtlockd cluster fence kvm7",
    -1,
  ],
  ...[["rack 1's host", "on host 'rack 1's host'", "'rack 1'\\''s host'"], [
    "",
    "on another host of the cluster",
    "HOST",
  ]].map(([host = "", place, word]): [Refusal, number, number, string, number] => [
    {
      kind: "held-elsewhere",
      resource: "r",
      by: {
        kind: "host",
        host,
        silentSince: 1_795_266_578_207,
        shared: false,
        domain: "web",
        uuid: "6ba7b810-9dad-41d1-80b4-00000000002a",
        pid: 9,
        since: 0,
      },
    },
    87,
    51,
    `${LOCKED} by domain 'web' (uuid 6ba7b810-9dad-41d1-80b4-00000000002a, pid 9) ${place}, of which nothing ` +
    "is heard since 2026-11-21T13:09:38Z or earlier: make sure that it is off and stays off, then free its " +
    `locks: virtlockd cluster fence ${word}`,
    -1,
  ]),
  [
    { kind: "held-elsewhere", resource: "r", by: { kind: "other-host" } },
    87,
    51,
    `${LOCKED} by another host that shares the storage`,
    -1,
  ],
  [
    { kind: "held-elsewhere", resource: "r", by: { kind: "unknown" } },
    87,
    51,
    `${LOCKED} by a process that this host does not show: one of another host that shares the storage, or of a container`,
    -1,
  ],
];

Deno.test("lockFailure() translates every refusal to libvirt's error", () => {
  for (const [refusal, code, domain, message, int1] of FAILURES) {
    const failure = lockFailure(refusal);
    assert.deepEqual([failure.code, failure.domain, failure.message, failure.int1], [
      code,
      domain,
      message,
      int1,
    ]);
  }
});

Deno.test("lockFailure() names each holder once, and at most three of them", () => {
  const message = (holdings: HeldReport["holdings"]) => lockFailure(held({ holdings })).message;
  assert.equal(message([holding(42), holding(42), holding(42)]), `${LOCKED} by ${WHO}`);
  const many = [1, 2, 3, 4, 5].map((pid) => holding(pid, `guest-${pid}`));
  assert.match(message(many), /by domain 'guest-1' .*, domain 'guest-2' .*, domain 'guest-3' .* and 2 more$/);
  assert.doesNotMatch(message(many), /guest-4/);
});

Deno.test("lockFailure() does with holders of which little is known", () => {
  const owner = { ...holding(42).owner, name: "" };
  assert.equal(
    lockFailure(held({ holdings: [{ owner, since: 0 }] })).message,
    `${LOCKED} by the guest of process 42`,
  );
});

Deno.test("refusalText() is a line for the log, whatever was refused", () => {
  assert.equal(refusalText(held()), `Lockspace resource 'r' is locked by ${WHO}`);
  assert.equal(
    refusalText({ kind: "system", action: "Unable to open resource r", errno: 2 }),
    "Unable to open resource r: No such file or directory",
  );
});
