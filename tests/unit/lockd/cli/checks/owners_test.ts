import assert from "node:assert/strict";
import { owners } from "../../../../../src/lockd/cli/checks/owners.ts";
import type { HolderEntry, LockEntry } from "../../../../../src/lockd/status/status_document.ts";
import { lock, UUID } from "../cli_fixture.ts";
import { answering, findings } from "./check_fixture.ts";

/** A lock whose owner is in this state. */
function owned(id: number, process: HolderEntry["process"], parts: Partial<LockEntry> = {}): LockEntry {
  const holder: HolderEntry = {
    domain: "web1",
    uuid: UUID,
    id: 1,
    pid: 41,
    since: 0,
    times: 1,
    ...process === undefined ? {} : { process },
  };
  return lock({ id, holders: [holder], ...parts });
}

async function said(...locks: LockEntry[]): Promise<string[]> {
  return (await findings(owners, {}, answering(locks))).map(({ level, found, advice }) =>
    `${level}: ${found} -> ${advice}`
  );
}

const WHO = `domain 'web1' (uuid ${UUID}, pid 41)`;

Deno.test("owners has nothing to say of those who live", async () => {
  assert.deepEqual(await said(owned(1, undefined), owned(2, undefined)), []);
});

Deno.test("owners finds those of whom nobody can tell, and says how to free what they hold", async () => {
  assert.deepEqual(await said(owned(1, "unjudged"), owned(2, "unjudged", { mode: "shared" })), [
    `warning: Whether ${WHO} lives cannot be told; it holds /ls/r1 and 1 more -> ` +
    "If no host runs it any more (virsh list --all), free what it holds: virtlockd release /ls/r1",
  ]);
  assert.match(
    (await said(owned(1, "unjudged", { mode: "shared" }))).join(),
    new RegExp(`virtlockd release /ls/r1 --uuid ${UUID}$`),
  );
});

Deno.test("owners says nothing of a lock that waits for last writes: it does not always go by itself", async () => {
  assert.deepEqual(
    await said(owned(1, "ended", { state: "settling", reason: "no disk of it was seen" })),
    [],
  );
});

Deno.test("owners finds those who have ended while their lock stays", async () => {
  assert.deepEqual(await said(owned(1, "ended", { reason: "a write is under way" })), [
    `warning: The process of ${WHO} has ended, but it still holds /ls/r1: a write is under way -> ` +
    "It is released by itself; if that takes too long: virtlockd release /ls/r1 --force --guest web1",
  ]);
});

Deno.test("owners calls one without a name by its process", async () => {
  const holders = [{
    domain: "",
    uuid: UUID,
    id: 0,
    pid: 41,
    since: 0,
    times: 1,
    process: "unjudged" as const,
  }];
  assert.match(
    (await said(lock({ id: 1, holders }))).join(),
    /^warning: Whether the guest of process 41 lives cannot be told; it holds \/ls\/r1 -> /,
  );
});

Deno.test("owners finds guests that are stopped because another host has a disk of theirs", async () => {
  assert.deepEqual(await said(owned(1, "stopped"), owned(2, "stopped", { state: "doubtful" })), [
    `problem: ${WHO} is stopped by a signal, and another host has /ls/r2 -> ` +
    "Destroy it and start it where it belongs: virsh destroy web1. It must not go on over what others have written: " +
    "nobody may send it SIGCONT",
  ]);
  // The other host's guest has ended, and this one has the lock again.
  assert.deepEqual(await said(owned(1, "stopped"), owned(2, "stopped")), [
    `warning: ${WHO} is stopped by a signal, and holds /ls/r1 and 1 more -> ` +
    "If it was stopped because another host had its disk (cluster_on_lost), destroy it: virsh destroy web1. If you " +
    "have stopped it yourself: kill -CONT 41",
  ]);
});
