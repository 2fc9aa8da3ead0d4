import assert from "node:assert/strict";
import { BATCH_SIZE, RowWriter } from "../../../../src/storaged/volumes/volume_rows.ts";
import { cString } from "../../../../src/os/c_string.ts";
import { foundRows, RAW, seen } from "../../../support/found_rows.ts";

Deno.test("a volume comes out of its row as it was seen", () => {
  const rows = foundRows({ "ä b": seen(2 ** 40 + 1, { label: "l", interrupted: true }) });
  assert.deepEqual(rows.find("ä b"), {
    type: "file",
    name: "ä b",
    key: "/p/ä b",
    path: "/p/ä b",
    extents: [],
    allocationSaid: true,
    capacity: 2n ** 40n + 1n,
    allocation: 4096n,
    physical: 2n ** 40n + 1n,
    format: "raw",
    permissions: { mode: 0o640, owner: 7, group: 8, label: "l" },
    timestamps: {
      access: { seconds: 1, nanoseconds: 2 },
      modification: { seconds: 7, nanoseconds: 8 },
      change: { seconds: 5, nanoseconds: 6 },
      birth: { seconds: 3, nanoseconds: 4 },
    },
    encryption: undefined,
    compat: undefined,
    clusterSize: 0n,
    features: undefined,
    noCow: false,
    backing: undefined,
    interrupted: true,
  });
  assert.equal(rows.find("b"), undefined);
});

Deno.test("what a header says comes out of a row too", () => {
  const backing = { path: "/b", format: "raw", permissions: { mode: 0o600, owner: 0, group: 0 } };
  const image = {
    ...RAW,
    format: "qcow2",
    capacity: 2n ** 63n + 1n,
    clusterSize: 65536n,
    compat: "1.1",
    features: ["extended_l2"] as const,
    encryption: "luks",
    backing: { ...backing, permissions: { ...backing.permissions, label: undefined }, timestamps: undefined },
  };
  const found = foundRows({ o: seen(9, { image }) }).find("o");
  assert.deepEqual(
    [found?.format, found?.capacity, found?.physical, found?.clusterSize, found?.compat, found?.features],
    ["qcow2", 2n ** 63n + 1n, 9n, 65536n, "1.1", ["extended_l2"]],
  );
  assert.equal(found?.encryption?.format, "luks");
  assert.deepEqual(JSON.parse(JSON.stringify(found?.backing)), backing);
});

Deno.test("a device is as large as it says, and a directory has no size", () => {
  const device = { ...RAW, end: 1048576n };
  const directory = { ...RAW, type: "dir" as const, format: "dir" };
  const rows = foundRows({ d: seen(0, { image: device }), e: seen(4096, { image: directory }) });
  const [found, empty] = [rows.find("d"), rows.find("e")];
  assert.deepEqual(
    [found?.capacity, found?.allocation, found?.physical],
    [1048576n, 1048576n, 1048576n],
  );
  assert.deepEqual([empty?.type, empty?.capacity, empty?.allocation], ["dir", 0n, 0n]);
});

Deno.test("volumes go in batches that are not too long, what they share once", () => {
  const batches: Uint8Array[] = [];
  const writer = new RowWriter((batch) => batches.push(batch.slice()));
  const names = Array.from({ length: 1000 }, (_, index) => `volume-${index}`);
  for (const name of names) writer.add(cString(name), seen(1));
  writer.finish();
  assert.equal(batches.length, 3);
  assert.ok(batches.every(({ length }) => length <= BATCH_SIZE));
  const text = batches.map((batch) => new TextDecoder().decode(batch)).join("");
  assert.equal(text.split('"format":"raw"').length - 1, 1);
});

Deno.test("volumes of all batches are found, in the order in which they came", () => {
  const names = Array.from({ length: 1000 }, (_, index) => `v${index}`);
  const rows = foundRows(Object.fromEntries(names.map((name, index) => [name, seen(index)])));
  assert.deepEqual([...rows.names], names);
  assert.equal(rows.find("v999")?.capacity, 999n);
  assert.equal(rows.find("v0")?.capacity, 0n);
});
