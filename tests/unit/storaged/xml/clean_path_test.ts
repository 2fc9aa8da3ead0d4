import assert from "node:assert/strict";
import { cleanPath } from "../../../../src/storaged/xml/clean_path.ts";

Deno.test("cleanPath() takes doubled slashes away, and one at the end", () => {
  const cases = [
    ["/foo///bar/", "/foo/bar"],
    ["/", "/"],
    ["///", "/"],
    ["///foo", "/foo"],
    ["//foo//bar/", "//foo/bar"],
    ["/../foo", "/../foo"],
    ["relative//path/", "relative/path"],
    ["gluster://host//vol/", "gluster://host//vol/"],
  ];
  for (const [path = "", expected] of cases) assert.equal(cleanPath(path), expected, path);
});
