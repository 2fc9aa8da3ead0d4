import assert from "node:assert/strict";
import { probeFormat, readImage } from "../../../../src/storaged/volumes/image_format.ts";

/** Bytes with pieces at offsets: text, or numbers of 4 or 8 bytes. */
function header(
  size: number,
  pieces: readonly (readonly [number, string | number | bigint, "little"?])[],
): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, value, order] of pieces) {
    if (typeof value === "string") {
      for (let index = 0; index < value.length; index++) bytes[at + index] = value.charCodeAt(index);
    } else if (typeof value === "bigint") view.setBigUint64(at, value, order === "little");
    else view.setUint32(at, value, order === "little");
  }
  return bytes;
}

const QCOW3 = [[0, "QFI\xfb"], [4, 3], [20, 16], [24, 1048576n], [100, 104]] as const;

Deno.test("probeFormat() knows each format by its mark and version", () => {
  const cases: [string, Uint8Array][] = [
    ["raw", new Uint8Array(0)],
    ["raw", new Uint8Array(4096)],
    ["iso", header(33280, [[32769, "CD001"]])],
    ["vpc", header(512, [[0, "conectix"], [12, 0x10000]])],
    ["raw", header(512, [[0, "conectix"], [12, 0x20000]])],
    ["vdi", header(512, [[64, "\x7f\x10\xda\xbe"], [68, 0x10001, "little"]])],
    ["ploop", header(512, [[0, "WithouFreSpacExt"]])],
    ["cow", header(2048, [[0, "OOOM"], [4, 2]])],
    ["qcow", header(512, [[0, "QFI\xfb"], [4, 1]])],
    ["qcow2", header(512, [[0, "QFI\xfb"], [4, 2]])],
    ["qcow2", header(512, [[0, "QFI\xfb"], [4, 3]])],
    ["raw", header(512, [[0, "QFI\xfb"], [4, 4]])],
    ["qed", header(512, [[0, "QED\0"]])],
    ["vmdk", header(512, [[0, "KDMV"], [4, 1, "little"]])],
    // A mark whose version is cut off.
    ["raw", header(6, [[0, "QFI\xfb"]])],
  ];
  for (const [format, bytes] of cases) assert.equal(probeFormat(bytes), format);
});

Deno.test("readImage() reads size, clusters, features and encryption of qcow2", () => {
  const plain = readImage(header(512, QCOW3));
  assert.deepEqual(
    [plain.capacity, plain.clusterSize, plain.compat, plain.features, plain.encryption, plain.backing],
    [1048576n, 65536n, "1.1", [], undefined, undefined],
  );
  const full = readImage(header(512, [...QCOW3, [72, 0x10n], [80, 1n], [32, 2]]));
  assert.deepEqual([full.features, full.encryption], [["lazy_refcounts", "extended_l2"], "luks"]);
  const divided = readImage(header(512, [...QCOW3, [72, 0x4n]]));
  assert.deepEqual(divided.features, ["data_file"]);
  const old = readImage(header(512, [[0, "QFI\xfb"], [4, 2], [20, 12], [24, 7n]]));
  assert.deepEqual([old.clusterSize, old.compat, old.features], [4096n, undefined, undefined]);
});

Deno.test("readImage() reads what a qcow2 image stands on, with the format that an extension says", () => {
  const named = [...QCOW3, [8, 200n], [16, 9], [200, "base.img\0"]] as const;
  assert.deepEqual(readImage(header(512, named)).backing, { path: "base.img", format: undefined });
  const told = [...named, [104, 0xe2792aca], [108, 5], [112, "qcow2"], [120, 0]] as const;
  assert.deepEqual(readImage(header(512, told)).backing, { path: "base.img", format: "qcow2" });
  const old = [[0, "QFI\xfb"], [4, 2], [8, 200n], [16, 4], [72, 0xe2792aca], [76, 3], [80, "raw"], [
    200,
    "/a/b",
  ]] as const;
  assert.deepEqual(readImage(header(512, old)).backing, { path: "/a/b", format: "raw" });
});

Deno.test("readImage() believes no number of a header that a guest may have written", () => {
  const cases: [string, readonly (readonly [number, string | number | bigint])[]][] = [
    ["a name behind the end", [...QCOW3, [8, 500n], [16, 100]]],
    ["a name at the largest offset", [...QCOW3, [8, 0xffff_ffff_ffff_ffffn], [16, 100]]],
    ["a name longer than QEMU takes", [...QCOW3, [8, 200n], [16, 1024]]],
    ["an empty name", [...QCOW3, [8, 200n], [16, 3]]],
  ];
  for (const [what, pieces] of cases) {
    assert.equal(readImage(header(512, pieces)).backing, undefined, what);
  }
  // Extensions that reach behind the end, and a header size that lies there, end the search.
  const beyond = [...QCOW3, [8, 200n], [16, 4], [200, "/a/b"], [104, 1], [108, 0xffff_fff0]] as const;
  assert.deepEqual(readImage(header(512, beyond)).backing, { path: "/a/b", format: undefined });
  const far = [...QCOW3, [8, 200n], [16, 4], [200, "/a/b"], [100, 0xffff_ffff]] as const;
  assert.deepEqual(readImage(header(512, far)).backing, { path: "/a/b", format: undefined });
  assert.equal(readImage(header(512, [...QCOW3, [20, 200]])).clusterSize, 0n);
  assert.equal(readImage(header(512, [[0, "KDMV"], [4, 1]])).format, "raw");
});

Deno.test("readImage() reads the sizes of other formats, none where there is none", () => {
  const vmdk = header(2048, [
    [0, "KDMV"],
    [4, 1, "little"],
    [12, 20n, "little"],
    [512, 'parentFileNameHint="base.vmdk"\n'],
  ]);
  assert.deepEqual(
    [readImage(vmdk).capacity, readImage(vmdk).backing],
    [10240n, { path: "base.vmdk", format: undefined }],
  );
  const qed = header(512, [[0, "QED\0"], [16, 5n, "little"], [48, 99n, "little"], [56, 64, "little"], [
    60,
    2,
    "little",
  ], [
    64,
    "/b",
  ]]);
  assert.deepEqual(
    [readImage(qed).capacity, readImage(qed).backing],
    [99n, { path: "/b", format: "raw" }],
  );
  assert.equal(readImage(header(33280, [[32769, "CD001"]])).capacity, undefined);
});

Deno.test("readImage() takes a LUKS header off the size of a raw volume", () => {
  const luks = header(512, [[0, "LUKS\xba\xbe\0\x01"], [104, 4096]]);
  const { format, encryption, encryptionHeader } = readImage(luks);
  assert.deepEqual([format, encryption, encryptionHeader], ["raw", "luks", 2097152n]);
});
