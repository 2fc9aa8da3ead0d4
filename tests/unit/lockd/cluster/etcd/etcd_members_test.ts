import assert from "node:assert/strict";
import {
  etcdMembers,
  foreignText,
  membersText,
  whyUnsafe,
} from "../../../../../src/lockd/cluster/etcd/etcd_members.ts";

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

Deno.test("a member of another etcd than most is named, with both numbers", () => {
  const version = "3.5.16";
  const members = etcdMembers([
    { url: "a", version, cluster: "7" },
    { url: "b", version, cluster: "7" },
    { url: "c", version, cluster: "8" },
    { url: "d", reason: "gone" },
  ]);
  const said = "its etcd has the cluster id 8, and that of a, b has 7";
  assert.equal(
    membersText(members),
    `a, b: version 3.5.16; c: version 3.5.16, ANOTHER ETCD: ${said}; d: version not known (gone)`,
  );
  assert.deepEqual(members.map(({ foreign }) => foreign), [undefined, undefined, said, undefined]);
  assert.equal(foreignText(members), `c: ${said}`);
  assert.equal(
    foreignText(etcdMembers([{ url: "a", version, cluster: "7" }, { url: "b", version }])),
    undefined,
  );
});

Deno.test("where no etcd has most of the members all are named", () => {
  const members = etcdMembers([
    { url: "a", version: "3.5.16", cluster: "7" },
    { url: "b", reason: "gone", cluster: "8" },
  ]);
  assert.equal(
    foreignText(members),
    `a: its etcd has the cluster id 7, and that of b has 8; ` +
      `b: its etcd has the cluster id 8, and that of a has 7`,
  );
});
