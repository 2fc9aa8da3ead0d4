import assert from "node:assert/strict";
import { decodeHost, decodeSilence } from "../../../../../src/lockd/cluster/keys/host_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";

Deno.test("that a host is heard of is read as it was written, also by a version that told of no daemon", () => {
  const old = { session: "s", boot: "b", name: "n" };
  const record = { ...old, daemon: { place: "p", pid: 7, start: 9 } };
  assert.deepEqual(decodeHost({ key: "k", value: encodeRecord(old), changedAt: 1 }), old);
  assert.deepEqual(decodeHost({ key: "k", value: encodeRecord(record), changedAt: 1 }), record);
  assert.throws(() => decodeHost({ key: "k", value: JSON.stringify({ ...old, daemon: 7 }), changedAt: 1 }), {
    message: "k has no mark of its daemon (docs/cluster-etcd.md says what to do with such a key)",
  });
});

Deno.test("that a host is silent is said with the moment when that was noticed", () => {
  assert.deepEqual(decodeSilence({ key: "k", value: encodeRecord({ since: 7 }), changedAt: 1 }), {
    since: 7,
  });
  assert.throws(() => decodeSilence({ key: "k", value: "{}", changedAt: 1 }), {
    message: "k has no number as its since (docs/cluster-etcd.md says what to do with such a key)",
  });
});
