import assert from "node:assert/strict";
import { MOST_OPERATIONS } from "../../../../../src/etcd/wire/transaction.ts";
import { FREED_AT_ONCE, sweep } from "../../../../../src/lockd/cluster/keys/fencing.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import {
  acquire,
  forget,
  obstaclesOf,
  release,
  replace,
  unmark,
} from "../../../../../src/lockd/cluster/keys/transactions.ts";

const EPOCH = { sessionKey: "/s", session: 7, metaKey: "/m", meta: 3 };
const LOCK = { key: "/lock/x", own: "/own/lock/x", value: "v" };

Deno.test("every change relies on this host's session and on what all agree upon", () => {
  const changes = {
    acquire: acquire(EPOCH, LOCK, { exclusive: "/lock/x" }),
    replace: replace(EPOCH, LOCK, 5),
    release: release(EPOCH, LOCK, "/want/x"),
    forget: forget(EPOCH, LOCK),
    unmark: unmark(EPOCH, LOCK),
  };
  for (const [name, { compare }] of Object.entries(changes)) {
    assert.deepEqual(compare.slice(0, 2), [
      { kind: "changed-at", key: "/s", revision: 7 },
      { kind: "changed-at", key: "/m", revision: 3 },
    ], name);
  }
});

Deno.test("a lock is taken only where nobody has it, shares it, or was paused with it", () => {
  const { compare } = acquire(EPOCH, LOCK, {
    exclusive: "/lock/x",
    sharers: "/share/x/",
    paused: "/paused/x/",
  });
  assert.deepEqual(compare.slice(2), [
    { kind: "changed-at", key: "/lock/x", revision: 0 },
    { kind: "none-below", prefix: "/share/x/" },
    { kind: "none-below", prefix: "/paused/x/" },
  ]);
});

Deno.test("whoever is to share a lock tells those that were paused with it alone, as whoever has it alone does", () => {
  const keys = new ClusterKeys("prod");
  const name = { space: "scsi", name: "disk" };
  const share = { ...LOCK, key: keys.share(name, "s") };
  const { compare, failure } = acquire(EPOCH, share, obstaclesOf(keys, name, true));
  assert.deepEqual(compare.slice(2), [
    { kind: "changed-at", key: "/virtlockd/prod/lock/scsi/disk", revision: 0 },
    { kind: "changed-at", key: "/virtlockd/prod/share/scsi/disk/s", revision: 0 },
    { kind: "none-below", prefix: "/virtlockd/prod/paused/scsi/disk/" },
  ]);
  assert.equal(failure.at(-1)?.op, "list");
  const seen = [{ key: "/virtlockd/prod/paused/scsi/disk/t/7.9", value: "mark", changedAt: 4 }];
  const changed = seen.map(({ key, value }) => ({ key, before: value, after: "used" }));
  const told = acquire(EPOCH, share, obstaclesOf(keys, name, true), { seen, changed, dropped: [] });
  assert.deepEqual(told.compare.at(-1), { kind: "changed-at", key: seen[0]?.key, revision: 4 });
  assert.deepEqual(told.success.at(-1), { op: "put", key: seen[0]?.key, value: "used" });
});

/** The longest list of a transaction. */
function longest({ compare, success, failure }: ReturnType<typeof acquire>): number {
  return Math.max(compare.length, success.length, failure.length);
}

Deno.test("a lock with as many marks as are read is taken with one transaction, also when all of them are dropped", () => {
  const obstacles = { exclusive: "/lock/x", sharers: "/share/x/", paused: "/paused/x/" };
  const list = acquire(EPOCH, LOCK, obstacles).failure.find((each) =>
    each.op === "list" && each.prefix === "/paused/x/"
  );
  assert.ok(list?.op === "list");
  const seen = Array.from({ length: list.limit }, (_, number) => ({
    key: `/paused/x/${number}`,
    value: "mark",
    changedAt: 1 + number,
  }));
  const changed = seen.map(({ key, value }) => ({ key, before: value, after: "used" }));
  const dropped = seen.map(({ key }) => ({ key, own: `/own${key}` }));
  const all = acquire(EPOCH, LOCK, obstacles, { seen, changed, dropped: [] });
  assert.equal(all.success.length, 2 + list.limit);
  assert.ok(longest(all) <= MOST_OPERATIONS);
  assert.ok(longest(acquire(EPOCH, LOCK, obstacles, { seen, changed: [], dropped })) <= MOST_OPERATIONS);
});

Deno.test("as many locks of a fenced host as are freed at once fit in one transaction", () => {
  const locks = Array.from({ length: FREED_AT_ONCE }, (_, number) => ({ ...LOCK, key: `/lock/${number}` }));
  const freed = sweep({ key: "/s", revision: 7 }, locks);
  assert.equal(freed.success.length, 2 * FREED_AT_ONCE);
  assert.ok(longest(freed) <= MOST_OPERATIONS);
});
