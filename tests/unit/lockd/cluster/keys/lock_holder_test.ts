import assert from "node:assert/strict";
import { decodeHolder, decodePaused, holderOf } from "../../../../../src/lockd/cluster/keys/lock_holder.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";

const HOLDER = { session: "s", attempt: "a", domain: "d", uuid: "u", pid: 7, start: 9, since: 11 };

Deno.test("who holds a lock is the process as this host's daemon sees it", () => {
  assert.deepEqual(
    holderOf({ name: "d", uuid: "u", pid: 1, id: 3 }, { pid: 7, start: 9 }, 11),
    { domain: "d", uuid: "u", pid: 7, start: 9, since: 11 },
  );
});

Deno.test("a holder is read as it was written, and nothing else passes for one", () => {
  const value = encodeRecord(HOLDER);
  assert.deepEqual(decodeHolder({ key: "k", value }), HOLDER);
  for (const field of ["session", "attempt", "domain", "uuid"]) {
    assert.throws(() => decodeHolder({ key: "k", value: JSON.stringify({ ...HOLDER, [field]: 7 }) }), {
      message: `k has no text as its ${field} (docs/cluster-etcd.md says what to do with such a key)`,
    });
  }
  for (const field of ["pid", "start", "since"]) {
    assert.throws(() => decodeHolder({ key: "k", value: JSON.stringify({ ...HOLDER, [field]: "7" }) }), {
      message: `k has no number as its ${field} (docs/cluster-etcd.md says what to do with such a key)`,
    });
  }
});

Deno.test("a mark of a paused guest says who has had its lock since, if anybody has", () => {
  const { attempt: _attempt, ...used } = { ...HOLDER, session: "other" };
  assert.deepEqual(decodePaused({ key: "k", value: encodeRecord(HOLDER) }), HOLDER);
  assert.deepEqual(decodePaused({ key: "k", value: encodeRecord({ ...HOLDER, used }) }), {
    ...HOLDER,
    used: { ...used, attempt: "" },
  });
  assert.throws(() => decodePaused({ key: "k", value: JSON.stringify({ ...HOLDER, used: null }) }), {
    message: "k does not say who used it (docs/cluster-etcd.md says what to do with such a key)",
  });
});
