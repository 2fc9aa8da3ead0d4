import assert from "node:assert/strict";
import { lockedPaths, readDomain } from "../../../../../src/lockd/cli/guests/domain.ts";
import { StoragePools } from "../../../../../src/lockd/cli/guests/storage_pools.ts";
import { parseXml } from "../../../../../src/lockd/cli/guests/xml.ts";
import { diskXml, domainXml, FakeHost } from "../checks/check_fixture.ts";

function read(xml: string) {
  using fake = new FakeHost({
    "/etc/libvirt/storage/images.xml":
      "<pool type='dir'><name>images</name><target><path>/pool</path></target></pool>",
    "/run/libvirt/storage/rbd.xml":
      "<poolstate><pool type='rbd'><name>ceph</name><source/></pool></poolstate>",
    "/run/libvirt/storage/scsi.xml":
      "<poolstate><pool type='scsi'><name>lun</name><target><path>/dev/disk/by-path</path></target></pool></poolstate>",
    "/run/libvirt/storage/broken.xml": "<pool",
  });
  return readDomain(parseXml(xml), StoragePools.read(fake.host));
}

Deno.test("readDomain() finds the disks that the guest may write, and its leases", () => {
  const xml = domainXml("a&amp;b", [
    diskXml("file='/img/a&apos;s.qcow2' index='1'"),
    diskXml('dev="/dev/vg/b"', "", "type='block'"),
    diskXml("dir='/fat'", "", "type='dir'"),
    diskXml("file='/iso'", "<readonly/>", "type='file' device='cdrom'"),
    diskXml("file='/shared'", "<readonly/>"),
    "    <disk type='file' device='floppy'>\n      <target dev='fda'/>\n    </disk>",
  ], 2);
  assert.deepEqual(read(xml), {
    name: "a&b",
    uuid: "6ba7b810-9dad-41d1-80b4-00000000002a",
    disks: [
      { kind: "path", path: "/img/a's.qcow2" },
      { kind: "path", path: "/dev/vg/b" },
      { kind: "path", path: "/fat" },
    ],
    leases: [{ directory: "/leases/x", key: "k0" }, { directory: "/leases/x", key: "k1" }],
    backing: [],
  });
});

Deno.test("readDomain() takes the topmost image alone, not what it is based on or copied to", () => {
  const below = "<backingStore type='file'><source file='/img/base'/><backingStore/></backingStore>" +
    "<mirror type='file'><source file='/img/copy'/></mirror>";
  assert.deepEqual(read(domainXml("a", [diskXml("file='/img/top'", below)])).disks, [
    { kind: "path", path: "/img/top" },
  ]);
});

Deno.test("readDomain() knows what the disks are based on, down to the last image", () => {
  const base =
    "<backingStore type='network'><source protocol='rbd' name='pool/base'/><backingStore/></backingStore>";
  const below = `<backingStore type='file'><source file='/img/middle'/>${base}</backingStore>`;
  const xml = domainXml("a", [
    diskXml("file='/img/top'", below),
    diskXml("file='/img/read'", `<readonly/>${below}`),
    diskXml("file='/img/once'", "<transient/>"),
    diskXml(
      "file='/img/run.TRANSIENT-a'",
      "<transient/><backingStore type='block'><source dev='/dev/vg/run'/></backingStore>",
    ),
  ]);
  assert.deepEqual(read(xml).backing, ["/img/middle", "rbd pool/base", "/img/once", "/dev/vg/run"]);
});

Deno.test("readDomain() knows the disks that libvirt never locks, and resolves volumes", () => {
  const volume = (pool: string, name: string) =>
    diskXml(`pool='${pool}' volume='${name}'`, "", "type='volume'");
  const xml = domainXml("a", [
    diskXml("protocol='rbd' name='pool/img'", "", "type='network'"),
    diskXml("protocol='nbd'", "", "type='network'"),
    diskXml("type='pci'", "<target dev='vdc'/>", "type='nvme'"),
    volume("images", "v.qcow2"),
    volume("ceph", "v"),
    volume("lun", "unit:0:0:1"),
    volume("gone", "v"),
  ]);
  const { disks } = read(xml);
  assert.deepEqual(disks, [
    { kind: "never locked", what: "rbd pool/img" },
    { kind: "never locked", what: "nbd" },
    { kind: "never locked", what: "nvme vdc" },
    { kind: "path", path: "/pool/v.qcow2" },
    { kind: "never locked", what: "volume v of pool ceph (rbd)" },
    { kind: "unknown volume", what: "volume unit:0:0:1 of pool lun" },
    { kind: "unknown volume", what: "volume v of pool gone" },
  ]);
  assert.deepEqual(lockedPaths([read(xml)]), ["/pool/v.qcow2"]);
});
