import assert from "node:assert/strict";
import {
  acquire,
  forget,
  release,
  replace,
  restoreMark,
  unmark,
} from "../../../../src/lockd/cluster/transactions.ts";

const EPOCH = { sessionKey: "/s", session: 7, metaKey: "/m", meta: 3 };
const LOCK = { key: "/lock/x", own: "/own/lock/x", value: "v" };

Deno.test("every change relies on this host's session and on what all agree upon", () => {
  const changes = {
    acquire: acquire(EPOCH, LOCK, { exclusive: "/lock/x" }),
    replace: replace(EPOCH, LOCK, 5),
    release: release(EPOCH, LOCK, "/want/x"),
    forget: forget(EPOCH, LOCK),
    unmark: unmark(EPOCH, LOCK),
    restoreMark: restoreMark(EPOCH, { key: "/paused/x", before: "a", after: "b" }),
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
