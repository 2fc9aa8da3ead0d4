import assert from "node:assert/strict";
import { etcdMembers, membersText, whyUnsafe } from "../../../../../src/lockd/cluster/etcd/etcd_members.ts";

const FAULTS = "its revisions may decrease, and a delete may be lost";
const DIFFER = "its members may come to differ in what they have";

for (
  const [version, why] of [
    ["3.3.27", FAULTS],
    ["3.4.19", FAULTS],
    ["3.4.20", DIFFER],
    ["3.4.21", DIFFER],
    ["3.4.23", FAULTS],
    ["3.4.31", FAULTS],
    ["3.4.32", undefined],
    ["3.4.45", undefined],
    ["3.5.2", DIFFER],
    ["3.5.13", FAULTS],
    ["3.5.14-rc.0", FAULTS],
    ["3.5.14", undefined],
    ["3.5.16+dfsg", undefined],
    ["3.6.0", undefined],
    ["v3.7.1", undefined],
    ["4.0.0", undefined],
    ["2.3.7", FAULTS],
    ["", "nothing is known of such a version"],
    ["newest", "nothing is known of such a version"],
  ] as const
) {
  Deno.test(`etcd ${version} is ${why === undefined ? "safe" : "not safe"}`, () => {
    assert.equal(whyUnsafe(version), why);
  });
}

Deno.test("members of one version are named together, and what to do about one with faults", () => {
  const members = etcdMembers([
    { url: "a", version: "3.5.16" },
    { url: "b", version: "3.4.23" },
    { url: "c", version: "3.5.16" },
    { url: "d", reason: "gone" },
  ]);
  assert.deepEqual(members, [
    { url: "a", version: "3.5.16" },
    { url: "b", version: "3.4.23", unsafe: FAULTS },
    { url: "c", version: "3.5.16" },
    { url: "d", reason: "gone" },
  ]);
  assert.equal(
    membersText(members),
    "a, c: version 3.5.16; b: version 3.4.23, UNSAFE: its revisions may decrease, and a delete may be lost, which may " +
      "give one lock to two hosts; upgrade each member to 3.4.32, 3.5.14, 3.6 or later; d: version not known (gone)",
  );
});
