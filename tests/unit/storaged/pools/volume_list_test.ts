import assert from "node:assert/strict";
import type { VolumeDefinition } from "../../../../src/storaged/model/volume_definition.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";
import { beginReading, VolumeList } from "../../../../src/storaged/pools/volume_list.ts";
import type { VolumeRows } from "../../../../src/storaged/volumes/volume_rows.ts";
import { foundRows, seen } from "../../../support/found_rows.ts";

const POOL = parsePool("<pool type='dir'><name>p</name><target><path>/p</path></target></pool>");

function volume(name: string, capacity = 1n): VolumeDefinition {
  const parsed = parseVolume(POOL, `<volume><name>${name}</name><capacity>1</capacity></volume>`, "required");
  return { ...parsed, key: `/p/${name}`, path: `/p/${name}`, capacity };
}

/** Volumes of these sizes, as a refresh finds them. */
function found(sizes: Readonly<Record<string, number>>): VolumeRows {
  return foundRows(Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, seen(size)])));
}

function names(list: VolumeList): string[] {
  return list.identities.map(({ name }) => name);
}

function listOf(...all: string[]): VolumeList {
  const list = new VolumeList();
  list.endRefresh(list.beginRefresh(), found(Object.fromEntries(all.map((name) => [name, 1]))));
  return list;
}

Deno.test("a refresh puts a complete list into the place of the one before", () => {
  const list = listOf("a", "b");
  list.endRefresh(list.beginRefresh(), found({ b: 9, c: 1 }));
  assert.deepEqual(names(list), ["b", "c"]);
  assert.deepEqual(list.identities[1], { name: "c", key: "/p/c" });
  assert.equal(list.find("b")?.definition.capacity, 9n);
});

Deno.test("while a refresh reads, and when it fails, the list is the one before", () => {
  const list = listOf("a", "b");
  const begun = list.beginRefresh();
  assert.deepEqual(names(list), ["a", "b"]);
  list.endRefresh(begun, undefined);
  assert.deepEqual(names(list), ["a", "b"]);
});

Deno.test("a volume that is made while a list is read stays, and one that is deleted does not come back", () => {
  const list = listOf("old");
  const begun = list.beginRefresh();
  const made = list.add(volume("new"), ".reserved");
  made.use = { kind: "unused" };
  const old = list.find("old");
  assert.ok(old);
  list.remove(old);
  list.endRefresh(begun, found({ old: 1 }));
  assert.deepEqual(names(list), ["new"]);
  // The next one was begun after all that, and is believed.
  list.endRefresh(list.beginRefresh(), found({ old: 1 }));
  assert.deepEqual(names(list), ["old"]);
});

Deno.test("a volume that is being made stays as its maker has it, however many lists are read", () => {
  const list = listOf();
  list.add(volume("new", 5n), ".reserved");
  list.endRefresh(list.beginRefresh(), found({}));
  list.endRefresh(list.beginRefresh(), found({ new: 1 }));
  assert.equal(list.find("new")?.definition.capacity, 5n);
  assert.equal(list.find("new")?.use.kind, "made");
});

Deno.test("who reads a volume goes on reading it over a refresh", () => {
  const list = listOf("a");
  const entry = list.find("a");
  assert.ok(entry);
  const [first, second] = [beginReading(entry), beginReading(entry)];
  list.endRefresh(list.beginRefresh(), found({ a: 7 }));
  assert.deepEqual(list.find("a")?.use, { kind: "read", readers: 2 });
  first();
  assert.deepEqual(list.find("a")?.use, { kind: "read", readers: 1 });
  second();
  assert.deepEqual(list.find("a")?.use, { kind: "unused" });
  assert.equal(entry.definition.capacity, 7n);
});

Deno.test("a volume is found by name, key and path", () => {
  const list = listOf("a", "b");
  assert.equal(list.byKey("/p/b")?.definition.name, "b");
  assert.equal(list.byPath("/p/a")?.definition.name, "a");
  assert.equal(list.byPath("/q/a"), undefined);
});

Deno.test("what somebody has looked at again counts until the next refresh", () => {
  const list = listOf("a");
  const entry = list.find("a");
  assert.ok(entry);
  entry.definition = volume("a", 3n);
  assert.equal(list.find("a")?.definition.capacity, 3n);
  list.endRefresh(list.beginRefresh(), found({ a: 8 }));
  assert.equal(list.find("a")?.definition.capacity, 8n);
  assert.equal(list.find("a"), entry);
});

Deno.test("a volume that is deleted is gone, and one that is made anew is there once", () => {
  const list = listOf("a", "b", "c");
  const old = list.find("b");
  assert.ok(old);
  list.remove(old);
  assert.deepEqual(names(list), ["a", "c"]);
  assert.equal(list.find("b"), undefined);
  assert.equal(list.byPath("/p/b"), undefined);
  list.add(volume("b", 4n), ".reserved").use = { kind: "unused" };
  list.add(volume("d"), ".reserved");
  assert.deepEqual(names(list), ["a", "b", "c", "d"]);
  assert.equal(list.find("b")?.definition.capacity, 4n);
});
