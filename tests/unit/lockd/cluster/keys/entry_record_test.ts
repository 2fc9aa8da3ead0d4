import assert from "node:assert/strict";
import { decodeEntry } from "../../../../../src/lockd/cluster/keys/entry_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";

Deno.test("what a host has put in is read as it was written, and in no state that is not known", () => {
  const record = { session: "s", name: "n", round: "r", state: "listed" } as const;
  const value = encodeRecord(record);
  assert.deepEqual(decodeEntry({ key: "k", value, changedAt: 1 }), record);
  assert.throws(() => decodeEntry({ key: "k", value: value.replace("listed", "done"), changedAt: 1 }), {
    message:
      "k has 'done' as its state, which is not known (docs/cluster-etcd.md says what to do with such a key)",
  });
});
