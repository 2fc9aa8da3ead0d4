import assert from "node:assert/strict";
import { parseExports } from "../../../../src/storaged/backends/nfs_exports.ts";

Deno.test("parseExports() takes the directories, with spaces in them", () => {
  assert.deepEqual(parseExports("/tmp   *\n/A dir demo1.foo.bar,demo2.foo.bar\n"), ["/tmp", "/A dir"]);
  assert.deepEqual(parseExports("clnt_create: RPC: Unknown host\n"), []);
  assert.deepEqual(parseExports(""), []);
});
