import assert from "node:assert/strict";
import { deviceLocks } from "../../../../../src/lockd/cli/checks/device_locks.ts";
import { neverLocked } from "../../../../../src/lockd/cli/checks/never_locked.ts";
import { uncoveredDisks } from "../../../../../src/lockd/cli/checks/uncovered_disks.ts";
import { diskXml, domainXml, findings, found, guestProcess, leaseXml, type Tree } from "./check_fixture.ts";

const ENDPOINTS = 'cluster_endpoints = [ "https://etcd1:2379" ]\n';
const ALL =
  'cluster_lockspaces = [ "scsi=/l/scsi", "lvm=/l/lvm", "files=/l/files", "leases=/l/leases/x" ]\ncluster_devices = 1\n';
const LOCKD =
  'scsi_lockspace_dir = "/l/scsi"\nlvm_lockspace_dir = "/l/lvm"\nfile_lockspace_dir = "/l/files"\n';

/** A SCSI disk, a logical volume, an NVMe disk and an RBD device. */
const DEVICES: Tree = {
  "/dev/sda": { device: [8, 0] },
  "/sys/dev/block/8:0/device/wwid": "naa.6001405abcdef0123456789abcdef012\n",
  "/dev/vg/a": { device: [253, 1] },
  "/sys/dev/block/253:1/dm/uuid": "LVM-kb0VkbvmPmcqWlWsjKbeMxUpTiqDfj0W06UgP52rhbw3Bo3mdRWeoLpytOSAa2ky\n",
  "/dev/nvme0n1": { device: [259, 0] },
  "/sys/dev/block/259:0/wwid": "eui.0025385b71b00a2c\n",
  "/dev/rbd0": { device: [252, 0] },
};

const block = (path: string) => diskXml(`dev='${path}'`, "", "type='block'");
const file = (path: string, rest = "") => diskXml(`file='${path}'`, rest);
const EVERY = [
  block("/dev/sda"),
  block("/dev/vg/a"),
  block("/dev/nvme0n1"),
  block("/dev/rbd0"),
  file("/img/a"),
];

function host(conf: string, lockd: string, disks: readonly string[], more: Tree = {}): Tree {
  return {
    ...DEVICES,
    "/etc/libvirt/virtlockd.conf": conf,
    "/etc/libvirt/qemu-lockd.conf": lockd,
    "/etc/libvirt/qemu/a.xml": domainXml("a", disks),
    ...more,
  };
}

const OTHERS = "warning: Guest 'a' has what other hosts may use at the same time: ";
const NO_NAME = "(the kernel knows no name of it that other hosts have too)";
const NO_FILES = "(a file, and cluster_lockspaces does not name a file_lockspace_dir)";
const NO_DIRECTORY = "(locked in a directory that cluster_lockspaces does not name)";

Deno.test("uncoveredDisks has nothing to say of a host in no cluster", async () => {
  assert.deepEqual(await found(uncoveredDisks, host("", "", EVERY)), []);
});

Deno.test("uncoveredDisks is content when every disk is locked for all hosts", async () => {
  assert.deepEqual(await found(uncoveredDisks, host(ENDPOINTS + ALL, LOCKD, EVERY)), [
    "ok: Every disk of 1 guest is locked for all hosts",
  ]);
});

Deno.test("uncoveredDisks names devices without identity, and files that are not opted in", async () => {
  const conf = `${ENDPOINTS}cluster_devices = 1\n`;
  assert.deepEqual(await found(uncoveredDisks, host(conf, "", EVERY)), [
    `${OTHERS}/dev/rbd0 ${NO_NAME}, /img/a ${NO_FILES}`,
  ]);
  const spaces = `${ENDPOINTS}cluster_lockspaces = [ "scsi=/l/scsi", "lvm=/l/lvm" ]\n`;
  assert.deepEqual(await found(uncoveredDisks, host(spaces, LOCKD, EVERY)), [
    `${OTHERS}/dev/nvme0n1 ${NO_DIRECTORY}, /dev/rbd0 ${NO_NAME}, /img/a ${NO_FILES}`,
  ]);
});

Deno.test("uncoveredDisks names devices that are locked by their path, and directories that are left out", async () => {
  const ofPath = "(locked by its path, without cluster_devices)";
  assert.deepEqual(await found(uncoveredDisks, host(ENDPOINTS, "", [block("/dev/sda")])), [
    `${OTHERS}/dev/sda ${ofPath}`,
  ]);
  assert.deepEqual(
    await found(uncoveredDisks, host(ENDPOINTS, LOCKD, [block("/dev/sda"), block("/dev/vg/a")])),
    [
      `${OTHERS}/dev/sda ${NO_DIRECTORY}, /dev/vg/a ${NO_DIRECTORY}`,
    ],
  );
});

Deno.test("uncoveredDisks says nothing of a device that is not there, nor of files whose locks reach all hosts", async () => {
  const mounts = {
    "/proc/self/mountinfo": "1 0 8:0 / / rw - ext4 /dev/sda1 rw\n2 1 0:40 / /nfs rw - nfs4 nas:/x rw\n",
  };
  const disks = [block("/dev/gone"), file("/nfs/a")];
  assert.deepEqual(await found(uncoveredDisks, host(ENDPOINTS, "", disks, mounts)), [
    "ok: Every disk of 1 guest is locked for all hosts",
  ]);
  const lockd = 'file_lockspace_dir = "/nfs/locks"\n';
  assert.deepEqual(await found(uncoveredDisks, host(ENDPOINTS, lockd, [file("/img/a")], mounts)), [
    "ok: Every disk of 1 guest is locked for all hosts",
  ]);
});

Deno.test("uncoveredDisks names backing files, and disks on the network without a lease of the cluster's", async () => {
  const rbd = diskXml("protocol='rbd' name='pool/a'", "", "type='network'");
  const based = file("/img/a", "<backingStore type='file'><source file='/img/base'/></backingStore>");
  const network = "rbd pool/a (libvirt locks no such disk)";
  const backing = "/img/base (a backing file, which libvirt never locks)";
  const tree = host(ENDPOINTS + ALL, LOCKD, [rbd, based]);
  assert.deepEqual(await found(uncoveredDisks, tree), [`${OTHERS}${network}, ${backing}`]);
  const [finding] = await findings(uncoveredDisks, tree);
  assert.equal(
    finding?.advice,
    "Give a guest with disks on the network a <lease> in a directory of cluster_lockspaces, or let their storage see " +
      "to it that there is one writer; give no guest on any host a backing file as a disk that it may write",
  );
  // What runs counts, and has a lease here that stands for its disk.
  const running = (directory: string) => ({
    ...tree,
    ...guestProcess(30, "a", [rbd], { leases: leaseXml(directory, "x", "k") }),
  });
  assert.deepEqual(await found(uncoveredDisks, running("/l/leases")), [
    "ok: Every disk of 1 guest is locked for all hosts",
  ]);
  assert.deepEqual(await found(uncoveredDisks, running("/other")), [
    `${OTHERS}${network}, lease /other/x/k (cluster_lockspaces does not name its directory)`,
  ]);
});

Deno.test("in a cluster neither devices nor disks without locks are told of twice", async () => {
  const rbd = diskXml("protocol='rbd' name='pool/a'", "", "type='network'");
  const tree = host(ENDPOINTS, "", [rbd, block("/dev/sda")]);
  assert.deepEqual(await found(neverLocked, tree), []);
  assert.deepEqual(await found(deviceLocks, tree), []);
});
