import assert from "node:assert/strict";
import { readDefinedGuests } from "../../../../../src/lockd/cli/guests/defined_guests.ts";
import { diskXml, domainXml, FakeHost } from "../checks/check_fixture.ts";

Deno.test("readDefinedGuests() reads every definition but libvirt's networks", () => {
  using fake = new FakeHost({
    "/etc/libvirt/qemu/a.xml": domainXml("a", []),
    "/etc/libvirt/qemu/b.xml": domainXml("b", [diskXml("file='/x'")]),
    "/etc/libvirt/qemu/broken.xml": "<domain",
    "/etc/libvirt/qemu/odd.xml": "<network/>",
    "/etc/libvirt/qemu/networks/default.xml": "<network/>",
    "/etc/libvirt/qemu/note.txt": domainXml("c", []),
  });
  assert.deepEqual(readDefinedGuests(fake.host).map(({ name, disks }) => ({ name, disks })), [
    { name: "a", disks: [] },
    { name: "b", disks: [{ kind: "path", path: "/x" }] },
  ]);
});
