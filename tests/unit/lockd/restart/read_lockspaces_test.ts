import assert from "node:assert/strict";
import type { JsonValue } from "../../../../src/lockd/restart/state.ts";
import { writeState } from "../../../../src/lockd/restart/write_state.ts";
import { edited, example, F16, fullState, stateOf, testRefusals } from "./documents.ts";

const LOCK = "daemon.servers.virtlockd";
const OWN = "denoVirtlockd";
const OWN_DOCUMENT: JsonValue = JSON.parse(new TextDecoder().decode(writeState(fullState())));

Deno.test("readState() knows nothing but the pid of an owner that is not connected", () => {
  const document = edited(example(), `${LOCK}.clients[1].privateData.ownerPid`, 1785);
  assert.deepEqual(stateOf(document).lockspaces[2]?.resources[0]?.record.holdings, [
    { owner: { pid: 1784, name: "", uuid: "00000000-0000-0000-0000-000000000000", id: 0 }, since: 0 },
  ]);
});

Deno.test("readState() reads owner pids that libvirt wrote as 64 bits of a negative number", () => {
  const text = JSON.stringify(example()).replace('"owners":[1784]', '"owners":[18446744073709551615,0]')
    .replace('"ownerPid":1784', '"ownerPid":4294967295')
    .replace('"owners":[1722,1784]', '"owners":[1722,18446744071562067968]');
  const { lockspaces } = stateOf(new TextEncoder().encode(text));
  const pids = lockspaces.map(({ resources }) => resources[0]?.record.holdings.map(({ owner }) => owner.pid));
  assert.deepEqual(pids, [[1722, 2147483648], [1722], [4294967295, 0]]);
  assert.deepEqual(lockspaces[2]?.resources[0]?.record.holdings[0]?.owner, { ...F16, pid: 4294967295 });
});

Deno.test("readState() doubts a lock that the daemon before did not hold", () => {
  const document = edited(example(), "defaultLockspace.resources[1].lockHeld", false);
  const resources = stateOf(document).lockspaces[0]?.resources;
  assert.deepEqual(resources?.map(({ record }) => record.state), [
    { kind: "held" },
    { kind: "doubtful", reason: "the daemon before did not hold its lock" },
  ]);
});

testRefusals(example(), [
  ["defaultLockspace", undefined, "defaultLockspace: expected an object, got nothing"],
  ["defaultLockspace.resources", {}, "defaultLockspace.resources: expected an array, got an object"],
  [
    "defaultLockspace.resources[1].name",
    undefined,
    "defaultLockspace.resources[1].name: expected a string, got nothing",
  ],
  [
    "defaultLockspace.resources[1].name",
    "/var/lib/libvirt/images/shared.img",
    "defaultLockspace.resources[1].name: expected a name that no other resource of the lockspace has, " +
    'got "/var/lib/libvirt/images/shared.img"',
  ],
  [
    "defaultLockspace.resources[1].path",
    5,
    "defaultLockspace.resources[1].path: expected a string, got 5",
  ],
  [
    "defaultLockspace.resources[1].fd",
    null,
    "defaultLockspace.resources[1].fd: expected a descriptor number, got null",
  ],
  [
    "defaultLockspace.resources[1].lockHeld",
    undefined,
    "defaultLockspace.resources[1].lockHeld: expected true or false, got nothing",
  ],
  ["defaultLockspace.resources[1].flags", -1, "defaultLockspace.resources[1].flags: expected flags, got -1"],
  [
    "defaultLockspace.resources[1].owners",
    5,
    "defaultLockspace.resources[1].owners: expected an array, got 5",
  ],
  [
    "defaultLockspace.resources[1].owners",
    [],
    "defaultLockspace.resources[1].owners: expected at least one owner, got an empty array",
  ],
  [
    "defaultLockspace.resources[0].owners[1]",
    "1784",
    'defaultLockspace.resources[0].owners[1]: expected a process id, got "1784"',
  ],
  [
    "defaultLockspace.resources[0].owners[1]",
    2 ** 32,
    "defaultLockspace.resources[0].owners[1]: expected a process id, got 4294967296",
  ],
  ["lockspaces", undefined, "lockspaces: expected an array, got nothing"],
  ["lockspaces[1].directory", undefined, "lockspaces[1].directory: expected a path, got nothing"],
  [
    "lockspaces[1].directory",
    "/var/lib/libvirt/lockd/files",
    'lockspaces[1].directory: expected a path that no other lockspace has, got "/var/lib/libvirt/lockd/files"',
  ],
  [
    "lockspaces[1].directory",
    "",
    'lockspaces[1].directory: expected a path that no other lockspace has, got ""',
  ],
  [
    "lockspaces[0].resources[0].fd",
    16.5,
    "lockspaces[0].resources[0].fd: expected a descriptor number, got 16.5",
  ],
  [
    "lockspaces[0].resources[0].fd",
    13,
    "lockspaces[0].resources[0].fd: expected a descriptor of its own, got 13, which is named before",
  ],
]);

testRefusals(OWN_DOCUMENT, [
  [
    `lockspaces[0].resources[0].${OWN}`,
    undefined,
    `lockspaces[0].resources[0].${OWN}: expected an object, got nothing`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.lock`,
    "flock",
    `lockspaces[0].resources[0].${OWN}.lock: expected ofd or posix, got "flock"`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.id`,
    -1,
    `lockspaces[0].resources[0].${OWN}.id: expected a resource id, got -1`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.owners`,
    [0],
    `lockspaces[0].resources[0].${OWN}.owners[0]: expected an owner with pid 0, got one with 1722`,
  ],
  [
    `lockspaces[0].resources[0].${OWN}.owners`,
    [3],
    `lockspaces[0].resources[0].${OWN}.owners[0]: expected an index of owners, got 3`,
  ],
  [
    `defaultLockspace.resources[0].${OWN}.owners`,
    [0, 1],
    `defaultLockspace.resources[0].${OWN}.owners: expected one entry for each of 3 owners, got 2`,
  ],
  [
    `defaultLockspace.resources[0].${OWN}.since`,
    [1, 2, 3, 4],
    `defaultLockspace.resources[0].${OWN}.since: expected one entry for each of 3 owners, got 4`,
  ],
  [
    `defaultLockspace.resources[1].${OWN}.doubtful`,
    true,
    `defaultLockspace.resources[1].${OWN}.doubtful: expected a string, got true`,
  ],
]);
