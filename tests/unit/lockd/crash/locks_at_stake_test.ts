import assert from "node:assert/strict";
import { locksAtStake, mayBeAtStake } from "../../../../src/lockd/crash/locks_at_stake.ts";
import { slotName } from "../../../../src/lockd/journal/descriptor_names.ts";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { createLog } from "../../../../src/lockd/journal/lock_format.ts";
import type { Operation } from "../../../../src/lockd/journal/operations.ts";
import { F_WRLCK, O_CREAT, O_RDWR } from "../../../../src/os/constants.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const OWNER = { pid: 7, name: "g", uuid: "6ba7b810-9dad-41d1-80b4-00000000002a", id: 1, start: 9 };
const GRANT: Operation = {
  op: "grant",
  record: {
    id: 1,
    lockspace: "",
    name: "/disk",
    path: "/disk",
    shared: false,
    autocreate: false,
    holdings: [{ owner: OWNER, since: 1 }],
    state: { kind: "held" },
  },
  lock: "ofd",
};

function paths(scratch: Scratch) {
  return { journalDir: scratch.path, restartState: scratch.file("state.json") };
}

function writeJournal(scratch: Scratch, operations: readonly Operation[]): number {
  const fd = kernel.open(scratch.file("journal"), O_RDWR | O_CREAT, 0o600);
  const log = createLog(new SharedMemory(kernel, fd));
  log.append(operations);
  return fd;
}

Deno.test("locksAtStake() believes the journal of the store", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  for (const [operations, atStake] of [[[], false], [[GRANT], true]] as const) {
    const fd = writeJournal(scratch, operations);
    const returned = [{ name: "journal", fd }, { name: "queue-1-1", fd: -1 }];
    assert.equal(locksAtStake(kernel, returned, undefined), atStake);
    kernel.close(fd);
    Deno.removeSync(scratch.file("journal"));
  }
  assert.deepEqual(openedSince(before), []);
});

Deno.test("locksAtStake() takes what may be a lock for one where the store has no journal to read", () => {
  using scratch = new Scratch();
  const nonsense = kernel.open(scratch.write("nonsense", "no journal"), O_RDWR, 0);
  for (const journal of [[], [{ name: "journal", fd: nonsense }]]) {
    const stored = (name: string) => locksAtStake(kernel, [...journal, { name, fd: -1 }], undefined);
    assert.equal(stored(slotName({ kind: "lock", index: 3 })), true);
    assert.equal(stored("queue-1-1"), true);
    assert.equal(stored(slotName({ kind: "lock client", index: 3 })), false);
    assert.equal(stored("virtlockd.socket"), false);
  }
  kernel.close(nonsense);
});

Deno.test("locksAtStake() sees a state on its way to this process", () => {
  using scratch = new Scratch();
  assert.equal(locksAtStake(kernel, [], paths(scratch)), false);
  scratch.write("state.json", "{}");
  assert.equal(locksAtStake(kernel, [], paths(scratch)), true);
  assert.equal(locksAtStake(kernel, [], undefined), false);
});

Deno.test("locksAtStake() sees a lock in a journal's file, unless a daemon uses it", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  kernel.close(writeJournal(scratch, []));
  assert.equal(locksAtStake(kernel, [], paths(scratch)), false);
  Deno.removeSync(scratch.file("journal"));
  const fd = writeJournal(scratch, [GRANT]);
  assert.equal(locksAtStake(kernel, [], paths(scratch)), true);
  assert.equal(kernel.ofdLock(fd, F_WRLCK, 0, 1), 0);
  assert.equal(locksAtStake(kernel, [], paths(scratch)), false);
  kernel.close(fd);
  scratch.write("journal", "no journal at all");
  assert.equal(locksAtStake(kernel, [], paths(scratch)), false);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("mayBeAtStake() looks at names only", () => {
  using scratch = new Scratch();
  const stored = (name: string) => mayBeAtStake(kernel, [{ name, fd: -1 }], undefined);
  for (const name of ["queue-1-1", slotName({ kind: "lock", index: 3 }), "journal"]) {
    assert.equal(stored(name), true, name);
  }
  assert.equal(stored(slotName({ kind: "lock client", index: 3 })), false);
  assert.equal(mayBeAtStake(kernel, [], paths(scratch)), false);
  scratch.write("journal", "whatever it says");
  assert.equal(mayBeAtStake(kernel, [], paths(scratch)), true);
  Deno.removeSync(scratch.file("journal"));
  scratch.write("state.json", "");
  assert.equal(mayBeAtStake(kernel, [], paths(scratch)), true);
});
