import assert from "node:assert/strict";
import { neverLocked } from "../../../../../src/lockd/cli/checks/never_locked.ts";
import { diskXml, domainXml, found, guestProcess, leaseXml } from "./check_fixture.ts";

const RBD = diskXml("protocol='rbd' name='pool/a'", "", "type='network'");
const NVME = diskXml("type='pci'", "<target dev='vdb'/>", "type='nvme'");

Deno.test("neverLocked finds guests with disks for which libvirt asks for no lock", async () => {
  const tree = { "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("file='/img/a'"), RBD, NVME]) };
  assert.deepEqual(await found(neverLocked, tree), [
    "warning: Guest 'a' may write what libvirt never locks: rbd pool/a, nvme vdb",
  ]);
});

Deno.test("neverLocked is content with files, and where a lease stands in", async () => {
  const tree = { "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("file='/img/a'")]) };
  assert.deepEqual(await found(neverLocked, tree), []);
  assert.deepEqual(await found(neverLocked, { "/etc/libvirt/qemu/a.xml": domainXml("a", [RBD], 1) }), []);
});

Deno.test("neverLocked says once what a guest that is defined and runs has now", async () => {
  const defined = { "/etc/libvirt/qemu/a.xml": domainXml("a", [RBD]) };
  assert.deepEqual(await found(neverLocked, { ...defined, ...guestProcess(30, "a", [RBD, NVME]) }), [
    "warning: Guest 'a' may write what libvirt never locks: rbd pool/a, nvme vdb",
  ]);
  const leases = leaseXml("/l", "one", "k");
  assert.deepEqual(await found(neverLocked, { ...defined, ...guestProcess(30, "a", [RBD], { leases }) }), []);
});
