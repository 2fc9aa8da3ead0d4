import assert from "node:assert/strict";
import { backingOf } from "../../../../src/storaged/volumes/image_backing.ts";
import { ImageHeader } from "../../../../src/storaged/volumes/image_header.ts";
import { header, QCOW3 } from "./image_bytes.ts";

/** What an image with these pieces stands on. */
function backing(format: string, size: number, pieces: Parameters<typeof header>[1]) {
  return backingOf(new ImageHeader(header(size, pieces)), format);
}

Deno.test("backingOf() reads what a qcow2 image stands on, with the format that an extension says", () => {
  const named = [...QCOW3, [8, 200n], [16, 9], [200, "base.img\0"]] as const;
  assert.deepEqual(backing("qcow2", 512, named), { path: "base.img", format: undefined });
  const told = [...named, [104, 0xe2792aca], [108, 5], [112, "qcow2"], [120, 0]] as const;
  assert.deepEqual(backing("qcow2", 512, told), { path: "base.img", format: "qcow2" });
  const old = [[0, "QFI\xfb"], [4, 2], [8, 200n], [16, 4], [72, 0xe2792aca], [76, 3], [80, "raw"], [
    200,
    "/a/b",
  ]] as const;
  assert.deepEqual(backing("qcow2", 512, old), { path: "/a/b", format: "raw" });
});

Deno.test("backingOf() believes no number of a header that a guest may have written", () => {
  const cases: [string, readonly (readonly [number, string | number | bigint])[]][] = [
    ["a name behind the end", [...QCOW3, [8, 500n], [16, 100]]],
    ["a name at the largest offset", [...QCOW3, [8, 0xffff_ffff_ffff_ffffn], [16, 100]]],
    ["a name longer than QEMU takes", [...QCOW3, [8, 200n], [16, 1024]]],
    ["an empty name", [...QCOW3, [8, 200n], [16, 3]]],
  ];
  for (const [what, pieces] of cases) {
    assert.equal(backing("qcow2", 512, pieces), undefined, what);
  }
  // Extensions that reach behind the end, and a header size that lies there, end the search.
  const beyond = [...QCOW3, [8, 200n], [16, 4], [200, "/a/b"], [104, 1], [108, 0xffff_fff0]] as const;
  assert.deepEqual(backing("qcow2", 512, beyond), { path: "/a/b", format: undefined });
  const far = [...QCOW3, [8, 200n], [16, 4], [200, "/a/b"], [100, 0xffff_ffff]] as const;
  assert.deepEqual(backing("qcow2", 512, far), { path: "/a/b", format: undefined });
});

Deno.test("backingOf() reads what images of other formats stand on", () => {
  assert.deepEqual(
    backing("vmdk", 2048, [[512, 'parentFileNameHint="base.vmdk"\n']]),
    { path: "base.vmdk", format: undefined },
  );
  const qed = [[56, 64, "little"], [60, 2, "little"], [64, "/b"]] as const;
  assert.deepEqual(backing("qed", 512, [[16, 5n, "little"], ...qed]), { path: "/b", format: "raw" });
  assert.deepEqual(backing("qed", 512, [[16, 1n, "little"], ...qed]), { path: "/b", format: undefined });
  assert.equal(backing("qed", 512, [[16, 4n, "little"], ...qed]), undefined);
  assert.deepEqual(backing("cow", 2048, [[8, "/c"]]), { path: "/c", format: undefined });
  assert.equal(backing("cow", 512, [[8, "/c"]]), undefined);
  assert.equal(backing("raw", 512, [[8, "/c"]]), undefined);
});
