import assert from "node:assert/strict";
import { decodeDeletes, encodeDeletes } from "../../../../src/etcd/link/watched_deletes.ts";

Deno.test("a watch is asked for that is told of no key that is written", () => {
  // create_request: key "a", range_end "b", start_revision 7, filters [NOPUT], packed.
  const request = encodeDeletes({ first: "a", behind: "b" }, 7);
  assert.equal(request.toHex(), "0a0b" + "0a0161" + "120162" + "1807" + "2a0100");
});

Deno.test("what was deleted is told until the revision of the last", () => {
  // Two events of type DELETE: of "a" at revision 8, of "b" at 9.
  const event = (key: string, revision: string) => "5a09" + "0801" + "1205" + "0a01" + key + "18" + revision;
  const bytes = Uint8Array.fromHex(event("61", "08") + event("62", "09"));
  assert.deepEqual(decodeDeletes(bytes), { kind: "deleted", keys: ["a", "b"], all: true, until: 9 });
});

Deno.test("that the watch is there is no news, and that etcd has ended it is none of keys", () => {
  assert.equal(decodeDeletes(Uint8Array.fromHex("1801")), undefined);
  assert.deepEqual(decodeDeletes(Uint8Array.fromHex("2001")), {
    kind: "refused",
    reason: "etcd has ended the watch",
  });
});

Deno.test("of revisions that etcd has compacted away nobody knows what was deleted", () => {
  // canceled, compact_revision 30.
  assert.deepEqual(decodeDeletes(Uint8Array.fromHex("2001" + "281e")), {
    kind: "deleted",
    keys: [],
    all: false,
    until: 29,
  });
});
