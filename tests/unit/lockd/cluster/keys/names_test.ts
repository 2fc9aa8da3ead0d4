import assert from "node:assert/strict";
import { ClusterNames, twiceNamed, unsuitable } from "../../../../../src/lockd/cluster/keys/names.ts";

const AS_WRITTEN = (path: string) => path;
const NAMES = new ClusterNames(
  [{ name: "scsi", directory: "/a/scsi" }, { name: "lvm", directory: "/b" }],
  AS_WRITTEN,
);

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
  const nested = new ClusterNames(
    [{ name: "all", directory: "/l" }, { name: "lvm", directory: "/l/lvm" }],
    AS_WRITTEN,
  );
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

/** Where /link and /l lead to /a. */
const LINKED = (path: string) => `1:${path.replace(/^\/(link|l)(?=\/|$)/, "/a")}`;

Deno.test("a directory of the cluster's has the same locks by every other name that it has on a host", () => {
  const names = new ClusterNames([{ name: "scsi", directory: "/l/scsi" }], LINKED);
  for (const path of ["/l/scsi/x", "/a/scsi/x", "/link/scsi/x"]) {
    assert.deepEqual(names.find(path), { space: "scsi", name: "x" }, path);
  }
  assert.equal(names.find("/a/lvm/x"), undefined);
  assert.equal(names.find("/a/scsi2/x"), undefined);
  assert.equal(names.find("/a/scsi"), undefined);
  const nested = new ClusterNames(
    [{ name: "lvm", directory: "/l/s/lvm" }, { name: "all", directory: "/l/s" }],
    LINKED,
  );
  assert.deepEqual(nested.find("/link/s/lvm/x"), { space: "lvm", name: "x" });
  assert.deepEqual(nested.find("/link/s/y/x"), { space: "all", name: "y%2Fx" });
});

Deno.test("a path that leads nowhere is no lock file of the cluster's", () => {
  const nowhere = new ClusterNames([{ name: "scsi", directory: "/a" }], () => undefined);
  assert.equal(nowhere.find("/undefined/x"), undefined);
  assert.deepEqual(nowhere.find("/a/x"), { space: "scsi", name: "x" });
});

Deno.test("one directory with two names is found", () => {
  const of = (...directories: string[]) =>
    twiceNamed(directories.map((directory, index) => ({ name: `n${index}`, directory })), LINKED);
  assert.equal(of("/a/scsi", "/b"), undefined);
  assert.equal(of("/a", "/a/scsi"), undefined);
  assert.equal(
    of("/a/scsi", "/b", "/link/scsi"),
    "'n0=/a/scsi' and 'n2=/link/scsi' in cluster_lockspaces are one directory",
  );
});
