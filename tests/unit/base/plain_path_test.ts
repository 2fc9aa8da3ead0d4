import assert from "node:assert/strict";
import { plainPath } from "../../../src/base/plain_path.ts";

Deno.test("plainPath() gives all spellings of an absolute path but those with links and .. one spelling", () => {
  for (const path of ["/a/b", "/a/b/", "//a///b", "/./a/./b/."]) assert.equal(plainPath(path), "/a/b");
  for (const path of ["/", "//", "/."]) assert.equal(plainPath(path), "/");
  for (const path of ["/a/../b", "a/b/", ""]) assert.equal(plainPath(path), path);
});
