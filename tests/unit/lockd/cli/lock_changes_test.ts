import assert from "node:assert/strict";
import { changeText, LockChanges } from "../../../../src/lockd/cli/lock_changes.ts";
import type { ListedLock } from "../../../../src/lockd/cli/shown/listed_lock.ts";
import { lock, UUID } from "./cli_fixture.ts";

const AT = 1_795_266_578_207;

/** What became of which lock of which process. */
function told(changes: LockChanges, locks: readonly ListedLock[]): string[] {
  return changes.since(locks, AT).map(({ change, lock }) =>
    `${change} ${lock.resource} ${lock.holders.map(({ pid }) => pid)}`
  );
}

Deno.test("LockChanges tells what was taken, released or changed, by holder", () => {
  const changes = new LockChanges();
  const shared = lock({ id: 2, mode: "shared" });
  const [holder] = shared.holders;
  assert.ok(holder);
  const two = { ...shared, holders: [holder, { ...holder, pid: 99 }] };
  assert.deepEqual(told(changes, [lock({ id: 1 }), shared]), ["+ r1 41", "+ r2 42"]);
  assert.deepEqual(told(changes, [lock({ id: 1 }), shared]), []);
  assert.deepEqual(told(changes, [two]), ["- r1 41", "+ r2 99"]);
  assert.deepEqual(told(changes, [{ ...two, state: "holder being killed" }]), ["~ r2 42", "~ r2 99"]);
  // The same name again is another lock.
  assert.deepEqual(told(changes, [lock({ id: 3, resource: "r2" })]), ["- r2 42", "- r2 99", "+ r2 43"]);
});

Deno.test("changeText() says it in a line that a terminal can show", () => {
  const text = (change: "+" | "-" | "~", parts: Partial<ListedLock>) =>
    changeText({ change, atMs: AT, lock: { ...lock({ id: 1 }), ...parts } });
  const holder = `domain 'guest1' (uuid ${UUID}, pid 41)`;
  assert.equal(text("+", {}), `2026-11-21 13:09:38Z + /ls/r1, exclusive, ${holder}: held\n`);
  assert.equal(
    text("~", { state: "doubtful", reason: "why" }),
    `2026-11-21 13:09:38Z ~ /ls/r1, exclusive, ${holder}: doubtful: why\n`,
  );
  assert.equal(
    text("-", { lockspace: "", resource: "/img/\x1ba", disk: "/img/b", holders: [] }),
    "2026-11-21 13:09:38Z - /img/\\x1ba, of disk /img/b, exclusive: released\n",
  );
});
