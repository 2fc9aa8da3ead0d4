import assert from "node:assert/strict";
import { closedText, Entries } from "../../../../../src/lockd/cluster/session/entries.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import type { EntryRecord } from "../../../../../src/lockd/cluster/keys/entry_record.ts";
import type { MetaRecord } from "../../../../../src/lockd/cluster/keys/meta_record.ts";
import { encodeRecord } from "../../../../../src/lockd/cluster/keys/records.ts";

const KEYS = new ClusterKeys("c");
const META: MetaRecord = {
  spaces: ["scsi"],
  phase: "forming",
  round: "r2",
  expect: ["kvm1", "id2"],
  without: [],
  why: "",
};

const entry = (id: string, name: string, state: EntryRecord["state"] = "settled", round = "r2") => ({
  key: KEYS.entry(id),
  value: encodeRecord({ session: `s-${id}`, name, round, state }),
  changedAt: 1,
});
const entries = (found: ReturnType<typeof entry>[], meta: Partial<MetaRecord> = {}) =>
  new Entries(KEYS, found, { ...META, ...meta });

Deno.test("a cluster waits for the hosts that were named by name or id, each in this round", () => {
  assert.equal(entries([]).awaited, "it waits for kvm1, id2");
  assert.equal(
    entries([entry("id1", "kvm1"), entry("id2", "kvm2", "settled", "r1")]).awaited,
    "it waits for id2",
  );
  assert.equal(entries([entry("id1", "kvm1"), entry("id2", "kvm2", "listed")]).awaited, "it waits for id2");
  assert.equal(entries([entry("id1", "kvm1"), entry("id2", "kvm2")]).awaited, undefined);
});

Deno.test("a cluster of which nobody has said which hosts it has does not open", () => {
  assert.equal(entries([entry("id1", "kvm1")], { expect: [] }).awaited, "nobody has said which hosts it has");
});

Deno.test("two hosts of one name are told apart by their ids only", () => {
  const two = [entry("id1", "kvm1"), entry("id9", "kvm1"), entry("id2", "kvm2")];
  assert.equal(entries(two).awaited, "2 hosts call themselves kvm1: name them by their ids, id1 and id9");
  assert.equal(entries(two, { expect: ["id1", "id9", "id2"] }).awaited, undefined);
});

Deno.test("a host whose name is another one's id is waited for, though that one has come by both", () => {
  const expect = ["kvm1", "kvm2"];
  const mixed = entry("kvm2", "kvm1");
  assert.equal(
    entries([mixed], { expect }).awaited,
    "kvm1 and kvm2 are one host so far (id kvm2): if another one is meant it waits for that, else name each host once",
  );
  assert.equal(entries([mixed, entry("id2", "kvm2")], { expect }).awaited, undefined);
  assert.equal(entries([mixed], { expect: ["kvm2"] }).awaited, undefined);
});

Deno.test("a host may still give something back until it has gone through what etcd has of it", () => {
  const listed = entries([entry("id1", "kvm1", "listed")]);
  assert.equal(listed.mayGiveBack({ host: "id1", name: "kvm1" }), false);
  assert.equal(listed.mayGiveBack({ host: "id2", name: "kvm2" }), true);
  assert.equal(listed.mayGiveBack({ host: "id3", name: "kvm3" }), false);
  assert.equal(entries([], { expect: [] }).mayGiveBack({ host: "id3", name: "kvm3" }), true);
});

Deno.test("whoever is refused is told what the cluster waits for, and what to do", () => {
  assert.equal(
    closedText(META, "it waits for kvm1"),
    "the cluster is not open yet, it waits for kvm1: 'virtlockd cluster open --expect HOST,...' names every host that " +
      "uses its disks",
  );
  assert.match(
    closedText({ ...META, why: "ann has changed its directories" }, "it waits for kvm1"),
    / \(ann has changed /,
  );
  assert.equal(
    closedText({ ...META, phase: "recovering", why: "etcd has gone back" }, "it waits for kvm1"),
    "the cluster is being recovered, it waits for kvm1: 'virtlockd cluster recover --expect HOST,...' names every " +
      "host that uses its disks (etcd has gone back)",
  );
});
