import assert from "node:assert/strict";
import { parseDomain, readDefinedGuests } from "../../../../../src/lockd/cli/checks/domain_xml.ts";
import { diskXml, domainXml, FakeHost } from "./check_fixture.ts";

Deno.test("parseDomain() finds the disks that the guest may write, and its leases", () => {
  const xml = domainXml("a&amp;b", [
    diskXml("file='/img/a&apos;s.qcow2' index='1'"),
    diskXml('dev="/dev/vg/b"', "", "type='block'"),
    diskXml("file='/iso'", "<readonly/>", "type='file' device='cdrom'"),
    diskXml("file='/shared'", "<readonly/>"),
    diskXml("protocol='rbd' name='pool/img'"),
    "    <disk type='file' device='cdrom'>\n      <target dev='hda'/>\n    </disk>",
  ], 2);
  assert.deepEqual(parseDomain(xml), { name: "a&b", disks: ["/img/a's.qcow2", "/dev/vg/b"], leases: 2 });
});

Deno.test("readDefinedGuests() reads every definition but libvirt's networks", () => {
  using fake = new FakeHost({
    "/etc/libvirt/qemu/a.xml": domainXml("a", []),
    "/etc/libvirt/qemu/b.xml": domainXml("b", [diskXml("file='/x'")]),
    "/etc/libvirt/qemu/networks/default.xml": "<network/>",
    "/etc/libvirt/qemu/note.txt": domainXml("c", []),
  });
  assert.deepEqual(readDefinedGuests(fake.host), [
    { name: "a", disks: [], leases: 0 },
    { name: "b", disks: ["/x"], leases: 0 },
  ]);
});
