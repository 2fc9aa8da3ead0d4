import assert from "node:assert/strict";
import {
  deviceKey,
  type Mount,
  MountTree,
  parseMounts,
  typeMayHang,
} from "../../../../src/lockd/storage/mount_tree.ts";
import { mount } from "../../../support/storage_fixture.ts";

Deno.test("parseMounts() reads every field when there are no, one or several optional ones", () => {
  const text = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard\n" +
    "42 27 0:59 / /mnt/images rw,nosuid shared:5 - nfs4 server:/export rw,vers=4.2\n" +
    "43 42 259:1048575 /sub /mnt/images/a rw master:1 propagate_from:2 unbindable - fuse.sshfs me@host: rw\n";
  assert.deepEqual(parseMounts(text), [
    { id: 27, parent: 1, device: deviceKey(254, 0), point: "/", root: "/", type: "ext4", source: "/dev/vda" },
    {
      id: 42,
      parent: 27,
      device: deviceKey(0, 59),
      point: "/mnt/images",
      root: "/",
      type: "nfs4",
      source: "server:/export",
    },
    {
      id: 43,
      parent: 42,
      device: deviceKey(259, 1048575),
      point: "/mnt/images/a",
      root: "/sub",
      type: "fuse.sshfs",
      source: "me@host:",
    },
  ]);
});

Deno.test("parseMounts() reads octal escapes in mount points and sources", () => {
  const text = "42 27 0:59 / /mnt/a\\040b\\011c\\012d\\134e\\043f rw - nfs s:/x\\040y rw\n";
  const [read] = parseMounts(text);
  assert.equal(read?.point, "/mnt/a b\tc\nd\\e#f");
  assert.equal(read?.source, "s:/x y");
});

Deno.test("parseMounts() takes a mount point of one dash for no separator", () => {
  const [read] = parseMounts("42 27 0:59 - - rw - nfs - rw\n");
  assert.deepEqual([read?.point, read?.type, read?.source], ["-", "nfs", "-"]);
});

Deno.test("parseMounts() tells whom a FUSE file system serves that serves one user only", () => {
  const only = (type: string, options: string) =>
    parseMounts(`42 27 0:59 / /mnt/a rw - ${type} s ${options}\n`)[0]?.onlyFor;
  assert.deepEqual(only("fuse.sshfs", "rw,user_id=1000,group_id=100"), { uid: 1000, gid: 100 });
  assert.deepEqual(only("fuse", "user_id=0,group_id=0,max_read=131072"), { uid: 0, gid: 0 });
  assert.equal(only("fuse.sshfs", "rw,user_id=1000,group_id=100,allow_other"), undefined);
  assert.equal(only("fuse.sshfs", "rw"), undefined);
  assert.equal(only("nfs4", "rw,user_id=1000,group_id=100"), undefined);
});

Deno.test("parseMounts() leaves out a line without separator", () => {
  assert.deepEqual(parseMounts("42 27 0:59 / /mnt rw\n\ngarbage\n"), []);
});

Deno.test("deviceKey() keeps devices apart whose numbers look alike", () => {
  assert.notEqual(deviceKey(1, 0), deviceKey(0, 1));
  assert.notEqual(deviceKey(0, 0xfffff), deviceKey(1, 0));
});

for (
  const type of [
    "nfs",
    "nfs4",
    "cifs",
    "ceph",
    "9p",
    "fuse",
    "fuse.sshfs",
    "fuseblk",
    "autofs",
    "virtiofs",
    "gfs2",
  ]
) {
  Deno.test(`typeMayHang() says yes to ${type}`, () => assert.equal(typeMayHang(type), true));
}

for (const type of ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fusectl", "nfsd", "proc"]) {
  Deno.test(`typeMayHang() says no to ${type}`, () => assert.equal(typeMayHang(type), false));
}

const ROOT = mount({ id: 27, parent: 1, device: 1, point: "/", type: "ext4" });

function at(mounts: readonly Mount[], below: number, path: string): number | undefined {
  return new MountTree(mounts).at(below, path)?.id;
}

Deno.test("MountTree.at() finds a mount only from the mount it lies on", () => {
  const mounts = [ROOT, mount({ id: 40, parent: 27, point: "/mnt" })];
  assert.equal(at(mounts, 27, "/mnt"), 40);
  assert.equal(at(mounts, 27, "/mnt/x"), undefined);
  assert.equal(at(mounts, 40, "/mnt"), undefined);
});

Deno.test("MountTree.at() finds the topmost of mounts on top of each other", () => {
  const mounts = [
    ROOT,
    mount({ id: 40, parent: 27, point: "/mnt" }),
    mount({ id: 41, parent: 40, point: "/mnt" }),
    mount({ id: 42, parent: 41, point: "/mnt" }),
  ];
  assert.equal(at(mounts, 27, "/mnt"), 42);
});

Deno.test("MountTree.root is the topmost mount of the root directory", () => {
  assert.equal(new MountTree([ROOT, mount({ id: 30, parent: 27, point: "/" })]).root, 30);
});

Deno.test("MountTree.root is a mount that is its own parent", () => {
  assert.equal(new MountTree([mount({ id: 1, parent: 1, point: "/", type: "rootfs" })]).root, 1);
});

Deno.test("MountTree finds mounts of a process whose root directory is not a mount", () => {
  const tree = new MountTree([mount({ id: 40, parent: 27, point: "/mnt" })]);
  assert.equal(tree.at(tree.root, "/mnt")?.id, 40);
});

Deno.test("MountTree.mayHang leaves out the root filesystem wherever it is mounted", () => {
  const root = mount({ id: 27, parent: 1, device: 7, point: "/", type: "nfs4" });
  const again = mount({ id: 28, parent: 27, device: 7, point: "/again", type: "nfs4" });
  const other = mount({ id: 29, parent: 27, device: 8, point: "/other", type: "nfs4" });
  const tree = new MountTree([root, again, other]);
  assert.deepEqual(tree.mayHang, [other]);
  assert.equal(tree.hangs(again), false);
  assert.equal(tree.hangs(other), true);
});

Deno.test("MountTree.mayHang leaves out automatic mounts below /proc, /sys and /dev", () => {
  const mounts = ["/proc/sys/fs/binfmt_misc", "/sys/x", "/dev/hugepages", "/devices"].map((point, index) =>
    mount({ id: 50 + index, parent: 27, device: 50 + index, point, type: "autofs" })
  );
  assert.deepEqual(new MountTree([ROOT, ...mounts]).mayHang.map(({ point }) => point), ["/devices"]);
});

Deno.test("MountTree.hangingDevice() finds the first mount of a filesystem that may hang", () => {
  const first = mount({ id: 40, parent: 27, device: 9, point: "/a", type: "nfs4" });
  const second = mount({ id: 41, parent: 27, device: 9, point: "/b", type: "nfs4" });
  const tree = new MountTree([ROOT, first, second]);
  assert.equal(tree.hangingDevice(9), first);
  assert.equal(tree.hangingDevice(1), undefined);
  assert.equal(tree.hasDevice(1), true);
  assert.equal(tree.hasDevice(2), false);
});
