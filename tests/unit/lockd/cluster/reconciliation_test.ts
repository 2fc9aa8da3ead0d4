import assert from "node:assert/strict";
import type { Transaction } from "../../../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../../../src/lockd/cluster/keys.ts";
import { ClusterNames } from "../../../../src/lockd/cluster/names.ts";
import { Reconciliation } from "../../../../src/lockd/cluster/reconciliation.ts";
import { encodeRecord } from "../../../../src/lockd/cluster/records.ts";
import { HELD } from "../../../../src/lockd/lockspace/lock_record.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";

const KEYS = new ClusterKeys("prod");
const EPOCH = { sessionKey: KEYS.session("s"), session: 5, metaKey: KEYS.meta, meta: 1 };
const HOLDER = { session: "s", attempt: "a", domain: "d", uuid: "u", start: 9, since: 0 };

Deno.test("a lock of which nobody knows is kept beyond the end of its process: its last writes may be on their way", () => {
  const own = (name: string) => KEYS.own("s", KEYS.exclusive({ space: "scsi", name }));
  const value = (pid: number) => encodeRecord({ ...HOLDER, pid });
  const asked: Transaction[] = [];
  const [kept, unknown]: [string[], string[]] = [[], []];
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => assert.fail("nothing was changed"),
      ask: (transaction, done) => {
        asked.push(transaction);
        const found = [
          { key: own("gone"), value: value(7), changedAt: 2 },
          { key: own("lives"), value: value(8), changedAt: 3 },
        ];
        const results = [{ found, more: false }];
        done({ kind: "transaction", result: { succeeded: true, results, cluster: "1", revision: 6 } });
      },
    },
    keys: KEYS,
    names: new ClusterNames([{ name: "scsi", directory: "/scsi" }]),
    files: { of: () => undefined, adopt: () => {}, drop: () => {} },
    resources: () => [],
    paused: () => [],
    partWith: () => assert.fail(),
    markOf: () => ({ pid: 0, start: 0 }),
    lives: (pid) => pid === 8,
    locks: { busy: () => false, give: () => assert.fail("a lock was given back") },
    nonce: () => "n",
    orphans: { add: ({ key }) => void kept.push(key) },
    marks: { add: () => assert.fail("there is no mark") },
    fencedLocks: { free: () => assert.fail("nothing is in the way") },
    observer: { clusterUnknown: (key) => void unknown.push(key) },
  });
  let outcome: unknown;
  reconciliation.run(EPOCH, (what) => outcome = what, false);
  assert.deepEqual(outcome, []);
  assert.equal(asked.length, 1);
  assert.deepEqual(kept, ["/virtlockd/prod/lock/scsi/gone", "/virtlockd/prod/lock/scsi/lives"]);
  assert.deepEqual(unknown, ["/virtlockd/prod/lock/scsi/lives"]);
});

Deno.test("a lock that more guests have been paused with than can be told is not put into etcd", () => {
  const none = { found: [], more: false };
  const marks = {
    found: [{ key: `${KEYS.pausedBelow({ space: "scsi", name: "disk" })}x`, value: "{}", changedAt: 4 }],
    more: true,
  };
  const epoch = [
    { found: [{ key: EPOCH.sessionKey, value: "", changedAt: 5 }], more: false },
    { found: [{ key: EPOCH.metaKey, value: "", changedAt: 1 }], more: false },
  ];
  // The list of what the session has, and the lock that is not taken.
  const answers = [[none], [...epoch, none, none, marks]];
  const owner = { name: "d", uuid: "u", pid: 7, id: 1 };
  const resource: Resource = {
    id: 1,
    lockspace: "/scsi",
    name: "disk",
    path: "/scsi/disk",
    shared: false,
    autocreate: true,
    handle: {
      kind: "file",
      fd: 3,
      identity: { devMajor: 8, devMinor: 1, inodeLow: 3, inodeHigh: 0 },
      lock: "ofd",
    },
    holdings: [{ owner, since: 5 }],
    state: HELD,
  };
  const reconciliation = new Reconciliation({
    session: {
      id: "s",
      moved: () => false,
      ask: (_transaction, done) => {
        const results = answers.shift() ?? assert.fail("it is tried again");
        done({ kind: "transaction", result: { succeeded: false, results, cluster: "1", revision: 6 } });
      },
    },
    keys: KEYS,
    names: new ClusterNames([{ name: "scsi", directory: "/scsi" }]),
    files: { of: () => undefined, adopt: () => assert.fail(), drop: () => assert.fail() },
    resources: () => [resource],
    paused: () => [],
    partWith: () => assert.fail(),
    markOf: () => ({ pid: 7, start: 9 }),
    lives: () => true,
    locks: { busy: () => false, give: () => assert.fail() },
    nonce: () => "n",
    orphans: { add: () => assert.fail() },
    marks: { add: () => assert.fail() },
    fencedLocks: { free: () => assert.fail() },
    observer: { clusterUnknown: () => assert.fail() },
  });
  let outcome: unknown;
  reconciliation.run(EPOCH, (what) => outcome = what, false);
  assert.equal(outcome, "too many guests are paused that have had it");
});
