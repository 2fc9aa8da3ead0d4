import assert from "node:assert/strict";
import { decodeDuty, decodeFencing } from "../../../../../src/lockd/cluster/keys/fencing_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";

Deno.test("a word of fencing in a state that is not known passes for nothing", () => {
  const word = { state: "condemned", by: "root", from: "m", at: 7 };
  assert.deepEqual(decodeFencing("k", word), word);
  assert.throws(() => decodeFencing("k", { ...word, state: "spared" }), {
    message:
      "k is spared, which this program does not know (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decodeFencing("k", "fenced"), {
    message: "k has no record of its fencing (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decodeFencing("k", { ...word, command: 7 }), {
    message: "k has no text as its command (docs/cluster-etcd.md says what to do with such a key)",
  });
});

Deno.test("who fences now is read as it was written", () => {
  const duty = { by: "host", nonce: "n" };
  assert.deepEqual(decodeDuty({ key: "k", value: encodeRecord(duty), changedAt: 1 }), duty);
});
