import assert from "node:assert/strict";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { decodeSession, type SessionRecord } from "../../../../../src/lockd/cluster/keys/session_record.ts";

const PLAIN: SessionRecord = { host: "h", name: "n", boot: "b", nonce: "1" };
const FULL: SessionRecord = {
  ...PLAIN,
  fencing: { state: "fenced", by: "root", from: "m", at: 7, command: "/bin/fence", boot: "b2" },
  lost: 2,
  left: true,
  removed: true,
  quiet: true,
  data: "port 3",
  machine: { board: "x", whole: "y" },
};

function decoded(value: string): SessionRecord {
  return decodeSession({ key: "k", value, changedAt: 1 });
}

Deno.test("a session is read as it was written, with what is said of its host and without", () => {
  assert.deepEqual(decoded(encodeRecord(PLAIN)), PLAIN);
  assert.deepEqual(decoded(encodeRecord(FULL)), FULL);
});

Deno.test("a session of which a part is something else is none, whatever part", () => {
  assert.throws(() => decoded('{"host":"h","name":"n","boot":"b"}'), {
    message: "k has no text as its nonce (docs/cluster-etcd.md says what to do with such a key)",
  });
  const withField = (field: string, value: unknown) => JSON.stringify({ ...PLAIN, [field]: value });
  assert.throws(() => decoded(withField("lost", "2")), {
    message: "k has no number as its lost (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decoded(withField("data", 3)), {
    message: "k has no text as its data (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decoded(withField("machine", 7)), {
    message: "k has no mark of its machine (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decoded(withField("machine", { board: "x" })), {
    message: "k has no text as its whole (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decoded(withField("fencing", null)), {
    message: "k has no record of its fencing (docs/cluster-etcd.md says what to do with such a key)",
  });
});
