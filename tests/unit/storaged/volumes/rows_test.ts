import assert from "node:assert/strict";
import type { VolumeDefinition } from "../../../../src/storaged/model/volume_definition.ts";
import { rowOf, volumeOf } from "../../../../src/storaged/volumes/rows.ts";

const MOMENT = { seconds: 5, nanoseconds: 6 };
const FULL: VolumeDefinition = {
  type: "file",
  name: "ä b",
  key: "/p/ä b",
  path: "/p/ä b",
  extents: [],
  capacity: 2n ** 63n + 1n,
  allocation: 4096n,
  allocationSaid: true,
  physical: 196616n,
  format: "qcow2",
  permissions: { mode: 0o600, owner: 0, group: 4294967294, label: "l" },
  timestamps: {
    access: MOMENT,
    modification: MOMENT,
    change: { seconds: -1, nanoseconds: 0 },
    birth: MOMENT,
  },
  encryption: { format: "luks", engine: undefined, secrets: [], cipher: undefined },
  compat: "1.1",
  clusterSize: 65536n,
  features: ["extended_l2"],
  noCow: false,
  backing: {
    path: "/p/base",
    format: "raw",
    permissions: { mode: undefined, owner: undefined, group: undefined, label: undefined },
    timestamps: undefined,
  },
  interrupted: true,
};
const PLAIN: VolumeDefinition = {
  ...FULL,
  type: "dir",
  format: "dir",
  timestamps: undefined,
  encryption: undefined,
  compat: undefined,
  features: undefined,
  backing: undefined,
  interrupted: false,
};

Deno.test("volumeOf() makes the volume again that rowOf() was given, through JSON", () => {
  for (const volume of [FULL, PLAIN, { ...PLAIN, features: [] }]) {
    const row = JSON.parse(JSON.stringify(rowOf(volume)));
    assert.deepEqual(volumeOf(row, "/p"), volume);
  }
});
