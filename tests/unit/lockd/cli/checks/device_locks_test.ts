import assert from "node:assert/strict";
import { deviceLocks } from "../../../../../src/lockd/cli/checks/device_locks.ts";
import { lock } from "../cli_fixture.ts";
import { answering, diskXml, domainXml, found, guestProcess } from "./check_fixture.ts";

const BOTH = 'lvm_lockspace_dir = "/a"\nscsi_lockspace_dir = "/b"\n';

Deno.test("deviceLocks has nothing to say where no disk is a device", async () => {
  const tree = { "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("file='/img/a'")]) };
  assert.deepEqual(await found(deviceLocks, tree), []);
});

Deno.test("deviceLocks warns of devices that are defined, used or locked by their name", async () => {
  const warning = (what: string) =>
    `warning: A lock on ${what} is seen by this host alone: /dev is not shared, ` +
    "though the storage behind it may be";
  const defined = {
    "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("dev='/dev/vg/a'", "", "type='block'")]),
  };
  assert.deepEqual(await found(deviceLocks, defined), [warning("/dev/vg/a")]);
  const used = guestProcess(30, "b", [diskXml("dev='/dev/vg/b'", "", "type='block'")]);
  assert.deepEqual(await found(deviceLocks, used), [warning("/dev/vg/b")]);
  const locked = answering([lock({ id: 1, lockspace: "", resource: "/dev/vg/c" })]);
  assert.deepEqual(await found(deviceLocks, { ...defined, ...used }, locked), [
    warning("/dev/vg/a and 2 more devices"),
  ]);
});

Deno.test("deviceLocks is content when devices are locked by their identity", async () => {
  const tree = {
    "/etc/libvirt/qemu/a.xml": domainXml("a", [diskXml("dev='/dev/vg/a'", "", "type='block'")]),
    "/etc/libvirt/qemu-lockd.conf": BOTH,
  };
  assert.deepEqual(await found(deviceLocks, tree), [
    "ok: Devices are locked by their LVM or SCSI identity, in lock directories",
  ]);
});
