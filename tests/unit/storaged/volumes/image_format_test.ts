import assert from "node:assert/strict";
import { probeFormat, readImage } from "../../../../src/storaged/volumes/image_format.ts";
import { header, QCOW3 } from "./image_bytes.ts";

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

Deno.test("readImage() believes no number of a header that a guest may have written", () => {
  assert.equal(readImage(header(512, [...QCOW3, [20, 200]])).clusterSize, 0n);
  assert.equal(readImage(header(512, [[0, "KDMV"], [4, 1]])).format, "raw");
});

Deno.test("readImage() reads the sizes of other formats, none where there is none", () => {
  const vmdk = header(2048, [
    [0, "KDMV"],
    [4, 1, "little"],
    [12, 20n, "little"],
  ]);
  assert.equal(readImage(vmdk).capacity, 10240n);
  assert.equal(readImage(header(512, [[0, "QED\0"], [48, 99n, "little"]])).capacity, 99n);
  assert.equal(readImage(header(33280, [[32769, "CD001"]])).capacity, undefined);
});

Deno.test("readImage() takes a LUKS header off the size of a raw volume", () => {
  const luks = header(512, [[0, "LUKS\xba\xbe\0\x01"], [104, 4096]]);
  const { format, encryption, encryptionHeader } = readImage(luks);
  assert.deepEqual([format, encryption, encryptionHeader], ["raw", "luks", 2097152n]);
});
