import assert from "node:assert/strict";
import {
  decodeMeta,
  encodeMeta,
  type MetaRecord,
} from "../../../../../src/lockd/cluster/keys/meta_record.ts";

const META: MetaRecord = {
  spaces: ["lvm", "scsi"],
  phase: "recovering",
  round: "r",
  expect: ["a"],
  without: ["b"],
  why: "lost",
};
const WRITTEN = '{"schema":2,"spaces":["lvm","scsi"],"phase":"recovering","round":"r","expect":["a"],' +
  '"without":["b"],"why":"lost"}';

function decoded(value: string): MetaRecord {
  return decodeMeta({ key: "k", value, changedAt: 1 });
}

Deno.test("what all hosts agree upon is written with its version, and read again", () => {
  assert.equal(encodeMeta(META), WRITTEN);
  assert.deepEqual(decoded(WRITTEN), META);
});

Deno.test("what is of another version, or in a phase that is not known, is not understood", () => {
  assert.throws(() => decoded(WRITTEN.replace('"schema":2', '"schema":3')), {
    message:
      "k has version 3, and this daemon knows 2 (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decoded(WRITTEN.replace("recovering", "mended")), {
    message:
      "k has 'mended' as its phase, which is not known (docs/cluster-etcd.md says what to do with such a key)",
  });
  assert.throws(() => decoded(WRITTEN.replace('["a"]', '"a"')), {
    message: "k has no list of texts as its expect (docs/cluster-etcd.md says what to do with such a key)",
  });
});
