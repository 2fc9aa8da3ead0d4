import assert from "node:assert/strict";
import { lockStates } from "../../../../../src/lockd/cli/checks/lock_states.ts";
import { lock } from "../cli_fixture.ts";
import { answering, findings, found, NO_DAEMON } from "./check_fixture.ts";

Deno.test("lockStates finds doubtful and inherited locks, and nothing else", async () => {
  const locks = [
    lock({ id: 1 }),
    lock({ id: 2, state: "doubtful", reason: "why" }),
    lock({ id: 7, state: "lost", reason: "somebody else holds it now" }),
    lock({ id: 8, state: "settling", reason: "it had /dev/sda open for writing" }),
    lock({ id: 3, kind: "posix" }),
    lock({ id: 4, state: "holder being killed" }),
  ];
  assert.deepEqual(await found(lockStates, {}, answering(locks)), [
    "problem: The lock on /ls/r2 of 'guest2' is doubtful: why",
    "problem: The lock on /ls/r7 is lost: somebody else holds it now",
    "warning: The lock on /ls/r8 stays although its guest is gone: it had /dev/sda open for writing",
    "warning: 1 lock of libvirt's daemon would not survive a crash",
  ]);
  assert.deepEqual(await found(lockStates, {}, answering([lock({ id: 1 })])), []);
  assert.deepEqual(await found(lockStates, {}), []);
});

Deno.test("lockStates tells the command that frees a lock with the file and the guest as they are typed", async () => {
  const [holder] = lock({ id: 9 }).holders;
  assert.ok(holder !== undefined);
  const settling = (holders: readonly (typeof holder)[]) =>
    lock({ id: 9, state: "settling", reason: "x", path: "/images/web 1.lock", holders });
  const advice = async (domain: string | undefined) => {
    const held = settling(domain === undefined ? [] : [{ ...holder, domain }]);
    const [finding] = await findings(lockStates, {}, answering([held]));
    return finding?.advice;
  };
  const free = (guest: string) =>
    "Wait, or look at the storage; when nothing of that guest is written any more for certain, free the lock: " +
    `virtlockd release '/images/web 1.lock' --force --guest ${guest}`;
  assert.equal(await advice("rack 1's guest"), free("'rack 1'\\''s guest'"));
  assert.equal(await advice(""), free("49"));
  assert.equal(await advice(undefined), free("NAME"));
});

Deno.test("lockStates sends nobody to a guest that has ended, or does a moment later", async () => {
  const states = ["doubtful", "awaited", "lost"] as const;
  const locks = (process?: "ended") =>
    states.map((state, id) => {
      const held = lock({ id, state, reason: "why" });
      return { ...held, holders: held.holders.map((holder) => ({ ...holder, ...process && { process } })) };
    });
  const running = await found(lockStates, {}, answering(locks()));
  assert.deepEqual(running, [
    "problem: The lock on /ls/r0 of 'guest0' is doubtful: why",
    "problem: The lock on /ls/r1 ended with an earlier daemon and is not taken again yet: why",
    "problem: The lock on /ls/r2 is lost: why",
  ]);
  assert.deepEqual(await found(lockStates, {}, answering(locks("ended"))), []);
  const later = (daemon: ReturnType<typeof answering>) => ({ lookAgain: () => daemon });
  assert.deepEqual(await found(lockStates, {}, answering(locks()), later(answering(locks("ended")))), []);
  assert.deepEqual(await found(lockStates, {}, answering(locks()), later(answering())), []);
  assert.deepEqual(await found(lockStates, {}, answering(locks()), later(NO_DAEMON)), running);
});

Deno.test("lockStates names of those who share a lock that is in doubt the ones that run", async () => {
  const [first = assert.fail()] = lock({ id: 1 }).holders;
  const holders = [{ ...first, process: "ended" as const }, { ...first, domain: "other" }];
  const shared = lock({ id: 1, state: "doubtful", mode: "shared", holders });
  assert.deepEqual(await found(lockStates, {}, answering([shared])), [
    "problem: The lock on /ls/r1 of 'other' is doubtful",
  ]);
});
