import assert from "node:assert/strict";
import { InvariantError } from "../../../../src/base/invariant.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";

const FILE = { devMajor: 8, devMinor: 1, inodeLow: 5, inodeHigh: 0 };
const OTHER = { ...FILE, inodeHigh: 1 };

/** A guard, and the descriptors that were closed. */
function guard() {
  const closed: number[] = [];
  const ledger = new DescriptorLedger({
    close(fd) {
      closed.push(fd);
      return 0;
    },
  });
  return { guard: new PosixGuard(ledger), ledger, closed };
}

Deno.test("PosixGuard close() closes a descriptor of a file that is not guarded at once", () => {
  const { guard: it, ledger, closed } = guard();
  ledger.own(10, "lock");
  it.close(10, FILE);
  it.close(11, FILE);
  it.protect(OTHER, false);
  it.close(12, FILE);
  assert.deepEqual(closed, [10, 11, 12]);
  assert.equal(ledger.size, 0);
});

Deno.test("PosixGuard close() keeps a descriptor of a guarded file until its last lock has gone", () => {
  const { guard: it, ledger, closed } = guard();
  it.protect(FILE, true);
  it.protect(FILE, true);
  it.protect(OTHER, false);
  ledger.own(10, "lock");
  it.close(10, FILE);
  it.close(11, FILE);
  it.close(12, OTHER);
  assert.deepEqual(closed, []);
  assert.deepEqual(it.parked.map(({ fd }) => fd), [10, 11, 12]);
  assert.ok(ledger.has(11));
  it.unprotect(FILE);
  assert.deepEqual(closed, []);
  it.unprotect(FILE);
  assert.deepEqual(closed.sort(), [10, 11]);
  assert.deepEqual(it.parked, [{ fd: 12, identity: OTHER }]);
  assert.ok(it.active);
  it.unprotect(OTHER);
  assert.ok(!it.active);
});

Deno.test("PosixGuard refuses() tells whether a lock would conflict with a guarded one", () => {
  const { guard: it } = guard();
  it.protect(FILE, true);
  assert.ok(it.guards(FILE) && !it.guards(OTHER));
  assert.ok(it.refuses(FILE, false));
  assert.ok(!it.refuses(FILE, true));
  it.protect(OTHER, false);
  assert.ok(it.refuses(OTHER, true));
});

Deno.test("PosixGuard takes over what an earlier image has kept", () => {
  const { guard: it, ledger, closed } = guard();
  ledger.own(20, "parked");
  it.adoptParked(20, FILE);
  it.protect(FILE, false);
  it.unprotect(FILE);
  assert.deepEqual(closed, [20]);
});

Deno.test("PosixGuard unprotect() throws for a file without lock", () => {
  assert.throws(() => guard().guard.unprotect(FILE), InvariantError);
});
