import assert from "node:assert/strict";
import { ClusterNames, unsuitable } from "../../../../src/lockd/cluster/names.ts";

const NAMES = new ClusterNames([{ name: "scsi", directory: "/a/scsi" }, { name: "lvm", directory: "/b" }]);

Deno.test("a lock file below a directory of the cluster's has a name in it, any other has none", () => {
  assert.deepEqual(NAMES.of("/a/scsi/360014"), { space: "scsi", name: "360014" });
  assert.deepEqual(NAMES.of("/b/x"), { space: "lvm", name: "x" });
  assert.deepEqual(NAMES.of("/a/scsi/sub/x"), { space: "scsi", name: "sub%2Fx" });
  assert.equal(NAMES.of("/a/x"), undefined);
  assert.equal(NAMES.of("/a/scsi"), undefined);
  assert.equal(NAMES.of("/a/scsi2/x"), undefined);
  assert.equal(NAMES.of("/dev/sda"), undefined);
});

Deno.test("a lock is the cluster's however its path is written, and has one name", () => {
  for (
    const path of [
      "/a/scsi//x",
      "/a/./scsi/x",
      "/a/scsi/./x",
      "//a/scsi/x",
      "/a/b/../scsi/x",
      "/a/scsi/y/../x",
    ]
  ) {
    assert.deepEqual(NAMES.of(path), { space: "scsi", name: "x" }, path);
  }
  assert.equal(NAMES.of("/a/scsi/../x"), undefined);
  const nested = new ClusterNames([{ name: "all", directory: "/l" }, { name: "lvm", directory: "/l/lvm" }]);
  assert.deepEqual(nested.of("/l/lvm/x"), { space: "lvm", name: "x" });
});

Deno.test("names have no slash, no beginning of another one's key, and each byte its own encoding", () => {
  assert.equal(NAMES.of("/b/A-b_c.9")?.name, "A-b_c.9");
  assert.equal(NAMES.of("/b/a b%+ü'!")?.name, "a%20b%25%2B%C3%BC%27%21");
  // The bytes 0xff and 0xfe, which are no UTF-8.
  assert.equal(NAMES.of("/b/\udcff\udcfe")?.name, "%FF%FE");
  assert.notEqual(NAMES.of("/b/\udcff")?.name, NAMES.of("/b/ÿ")?.name);
});

Deno.test("a name that is too long is not put into etcd", () => {
  assert.equal(unsuitable({ space: "s", name: "x".repeat(1000) }), undefined);
  assert.equal(
    unsuitable({ space: "s", name: "x".repeat(1001) }),
    "its name takes 1001 bytes in etcd, and a cluster's names have at most 1000",
  );
});

Deno.test("the names of the directories are sorted: hosts may list them in any order", () => {
  assert.deepEqual(NAMES.spaces, ["lvm", "scsi"]);
});
