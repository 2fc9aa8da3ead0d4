import assert from "node:assert/strict";
import { lockStates } from "../../../../../src/lockd/cli/checks/lock_states.ts";
import { lock } from "../cli_fixture.ts";
import { answering, found } from "./check_fixture.ts";

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
