import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import { type Entered, Entrance } from "../../../../../src/lockd/cluster/session/entrance.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { decodeMeta, encodeMeta } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";
import { resource } from "../../programs/lock_fixture.ts";

const KEYS = new ClusterKeys("test");
const META = {
  spaces: ["scsi"],
  phase: "forming",
  round: "r1",
  expect: ["h"],
  without: [],
  why: "",
} as const;

const RESOURCE = resource({ id: 1, lockspace: "/scsi", name: "disk", holdings: [] });

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

Deno.test("what another host has that has just come is tried once more before it counts as that host's", () => {
  const etcd = new PlayedEtcd("none");
  etcd.put("s", "session");
  etcd.put(KEYS.meta, encodeMeta({ ...META, phase: "recovering", expect: ["h", "other"] }));
  const session = { host: "other", name: "kvm2", boot: "b", nonce: "n" };
  etcd.put(KEYS.session("theirs"), encodeRecord(session));
  const entrance = new Entrance({
    session: {
      id: "s",
      ask: (transaction, done) => done(etcd.apply({ kind: "transaction", transaction }, 0)),
    },
    keys: KEYS,
    host: { id: "h", name: "h" },
  });
  const told: string[] = [];
  const epoch = { sessionKey: "s", session: 2, metaKey: KEYS.meta, meta: 3 };
  const meta = { ...META, phase: "recovering", expect: ["h", "other"] } as const;
  const enter = (round: string) => {
    const conflicts = [{ resource: RESOURCE, session: "theirs" }];
    entrance.enter(epoch, { ...meta, round }, conflicts, (entered) => told.push(entered.kind));
  };
  const comes = (round: string) => {
    etcd.put(KEYS.entry("other"), encodeRecord({ session: "theirs", name: "kvm2", round, state: "listed" }));
  };
  enter("r1");
  // It may have given the lock back between the try and this look.
  comes("r1");
  enter("r1");
  enter("r1");
  // In a later round that says nothing.
  comes("r2");
  enter("r2");
  enter("r2");
  assert.deepEqual(told, ["listed", "listed", "settled", "listed", "settled"]);
});
