import assert from "node:assert/strict";
import { GrantedLocks } from "../../../../../src/lockd/cluster/locks/granted_locks.ts";
import { UngrantedTries } from "../../../../../src/lockd/cluster/locks/ungranted_tries.ts";

const HOLDER = { session: "s", attempt: "a", domain: "web", uuid: "u-web", pid: 1, start: 2, since: 3 };
const LOCK = { key: "k", own: "o", value: JSON.stringify(HOLDER) };
const CHANGED = [{ key: "m", before: "b", after: "a" }];

Deno.test("a lock is found by its path and by its key", () => {
  const granted = new GrantedLocks(new UngrantedTries([], () => {}));
  granted.adopt("/scsi/disk", LOCK);
  assert.equal(granted.of("/scsi/disk"), LOCK);
  assert.deepEqual([granted.count, granted.holds("k"), granted.pathOf("k")], [1, true, "/scsi/disk"]);
  assert.deepEqual([...granted.all()], [["/scsi/disk", LOCK]]);
  assert.equal(granted.uuidOf("k"), "u-web");
  assert.deepEqual([granted.uuidOf("other"), granted.pathOf("other")], [undefined, undefined]);
});

Deno.test("a lock that is granted is no try any more, and one that was found is what it was", () => {
  const tries = new UngrantedTries(
    ["v", "w", "x"].map((value) => ({ value, changed: CHANGED })),
    () => {},
  );
  const granted = new GrantedLocks(tries);
  granted.took("/scsi/disk", { ...LOCK, value: "v" }, CHANGED);
  granted.adopt("/scsi/other", { ...LOCK, key: "l", value: "w" });
  assert.deepEqual(tries.all.map(({ value }) => value), ["w", "x"]);
  // Nor is it one while it is given back, of which this host knows nothing more then.
  granted.forget("/scsi/disk");
  assert.deepEqual(tries.changedBy("v"), []);
});

Deno.test("a record that cannot be read is of a domain that is not known", () => {
  const granted = new GrantedLocks(new UngrantedTries([], () => {}));
  granted.adopt("/scsi/disk", { ...LOCK, value: "{" });
  assert.equal(granted.uuidOf("k"), undefined);
});

Deno.test("a lock that another session has is dropped, and what was told with it is still known", () => {
  const granted = new GrantedLocks(new UngrantedTries([], () => {}));
  granted.took("/scsi/disk", LOCK, CHANGED);
  granted.drop("/scsi/disk");
  granted.drop("/scsi/other");
  assert.deepEqual([granted.count, granted.holds("k")], [0, false]);
  assert.deepEqual(granted.used("/scsi/disk"), CHANGED);
  assert.deepEqual(granted.used("/scsi/disk"), []);
});

Deno.test("nothing is known of a lock that is forgotten", () => {
  const granted = new GrantedLocks(new UngrantedTries([], () => {}));
  granted.took("/scsi/disk", LOCK, CHANGED);
  granted.forget("/scsi/disk");
  assert.deepEqual([granted.count, granted.holds("k"), granted.used("/scsi/disk")], [0, false, []]);
});
