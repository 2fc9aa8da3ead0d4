import assert from "node:assert/strict";
import type { VolumeDefinition } from "../../../../src/storaged/model/volume_definition.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";
import { parseVolume } from "../../../../src/storaged/xml/volume_xml.ts";
import { beginReading, VolumeList } from "../../../../src/storaged/pools/volume_list.ts";

const POOL = parsePool("<pool type='dir'><name>p</name><target><path>/p</path></target></pool>");

function volume(name: string, capacity = 1n): VolumeDefinition {
  const parsed = parseVolume(POOL, `<volume><name>${name}</name><capacity>1</capacity></volume>`, "required");
  return { ...parsed, key: `/p/${name}`, path: `/p/${name}`, capacity };
}

function names(list: VolumeList): string[] {
  return list.entries.map(({ definition }) => definition.name).sort();
}

function listOf(...found: string[]): VolumeList {
  const list = new VolumeList();
  list.endRefresh(list.beginRefresh(), found.map((name) => volume(name)));
  return list;
}

Deno.test("a refresh puts a complete list into the place of the one before", () => {
  const list = listOf("a", "b");
  list.endRefresh(list.beginRefresh(), [volume("b", 9n), volume("c")]);
  assert.deepEqual(names(list), ["b", "c"]);
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
  list.endRefresh(begun, [volume("old")]);
  assert.deepEqual(names(list), ["new"]);
  // The next one was begun after all that, and is believed.
  list.endRefresh(list.beginRefresh(), [volume("old")]);
  assert.deepEqual(names(list), ["old"]);
});

Deno.test("a volume that is being made stays as its maker has it, however many lists are read", () => {
  const list = listOf();
  list.add(volume("new", 5n), ".reserved");
  list.endRefresh(list.beginRefresh(), []);
  list.endRefresh(list.beginRefresh(), [volume("new", 1n)]);
  assert.equal(list.find("new")?.definition.capacity, 5n);
  assert.equal(list.find("new")?.use.kind, "made");
});

Deno.test("who reads a volume goes on reading it over a refresh", () => {
  const list = listOf("a");
  const entry = list.find("a");
  assert.ok(entry);
  const [first, second] = [beginReading(entry), beginReading(entry)];
  list.endRefresh(list.beginRefresh(), [volume("a", 7n)]);
  assert.deepEqual(list.find("a")?.use, { kind: "read", readers: 2 });
  first();
  assert.deepEqual(list.find("a")?.use, { kind: "read", readers: 1 });
  second();
  assert.deepEqual(list.find("a")?.use, { kind: "unused" });
});

Deno.test("a volume is found by name, key and path", () => {
  const list = listOf("a", "b");
  assert.equal(list.byKey("/p/b")?.definition.name, "b");
  assert.equal(list.byPath("/p/a")?.definition.name, "a");
  assert.equal(list.byPath("/q/a"), undefined);
});
