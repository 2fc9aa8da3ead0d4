import assert from "node:assert/strict";
import { ownerRecord } from "../../../../src/lockd/lockspace/owner.ts";

const OWNER = { pid: 42, id: 7, name: "alpha", uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8" };
const SINCE = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

Deno.test("ownerRecord() names domain, uuid, pid and time on one line", () => {
  assert.equal(
    ownerRecord(OWNER, SINCE),
    "domain 'alpha' (uuid 6ba7b810-9dad-41d1-80b4-00c04fd430c8, pid 42) since 2026-01-02T03:04:05Z",
  );
});

Deno.test("ownerRecord() keeps a strange name on its line and short", () => {
  const record = ownerRecord({ ...OWNER, name: `a\nb\x7f${"c".repeat(500)}` }, SINCE);
  assert.match(record, /^domain 'a\?b\?c{196}' \(uuid /);
});
