import assert from "node:assert/strict";
import type { Answer } from "../../../../src/etcd/wire/link_messages.ts";
import { type Entered, Entrance } from "../../../../src/lockd/cluster/entrance.ts";
import { ClusterKeys } from "../../../../src/lockd/cluster/keys.ts";
import { decodeMeta, encodeMeta, encodeRecord } from "../../../../src/lockd/cluster/records.ts";
import { PlayedEtcd } from "../../../cluster_model/played_etcd.ts";

const KEYS = new ClusterKeys("test");
const META = {
  spaces: ["scsi"],
  phase: "forming",
  round: "r1",
  expect: ["h"],
  without: [],
  why: "",
} as const;

/** Opens a cluster into which everybody has come. @param written answers the write in etcd's place */
function opened(written: Answer | undefined) {
  const etcd = new PlayedEtcd("none");
  etcd.put(KEYS.meta, encodeMeta(META));
  etcd.put(KEYS.entry("h"), encodeRecord({ session: "s", name: "h", round: "r1", state: "settled" }));
  const entrance = new Entrance({
    session: {
      id: "s",
      ask: (transaction, done) => {
        const writes = transaction.success.some(({ op }) => op === "put");
        if (writes && written !== undefined) return done(written);
        done(etcd.apply({ kind: "transaction", transaction }, 0));
      },
    },
    keys: KEYS,
    host: { id: "h", name: "h" },
  });
  const told: Entered[] = [];
  entrance.open((entered) => told.push(entered));
  const { phase } = decodeMeta({ key: KEYS.meta, value: etcd.get(KEYS.meta) ?? "", changedAt: 0 });
  return { told, phase };
}

Deno.test("a cluster into which everybody has come is opened", () => {
  assert.deepEqual(opened(undefined), { told: [{ kind: "opened" }], phase: "open" });
});

for (const kind of ["unknown", "refused", "full"] as const) {
  Deno.test(`a cluster is not called open where that is answered as ${kind}`, () => {
    const failed = { kind: "failed", reason: "why ever" };
    assert.deepEqual(opened({ kind, reason: "why ever" }), { told: [failed], phase: "forming" });
  });
}
