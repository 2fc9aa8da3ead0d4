import assert from "node:assert/strict";
import { diskPaths, readRunningGuests } from "../../../../../src/lockd/cli/checks/running_guests.ts";
import { blockdev, FakeHost, guestProcess } from "./check_fixture.ts";

Deno.test("readRunningGuests() finds the QEMU processes that libvirt has started", () => {
  using fake = new FakeHost({
    ...guestProcess(200, "b", blockdev("/img/b")),
    ...guestProcess(30, "a,,b", []),
    "/proc/31/cmdline": "/usr/bin/qemu-img\0convert\0",
    "/proc/32/cmdline": "/usr/bin/qemu-system-x86_64\0-hda\0/x\0",
    "/proc/33/cmdline": "/usr/sbin/libvirtd\0-uuid\0x\0",
    "/proc/34/cmdline": "",
    "/proc/version": "x",
  });
  const uuid = "6ba7b810-9dad-41d1-80b4-00000000002a";
  assert.deepEqual(readRunningGuests(fake.host), [
    { pid: 30, name: "a,b", uuid, disks: [], paused: false },
    { pid: 200, name: "b", uuid, disks: ["/img/b"], paused: false },
  ]);
});

Deno.test("readRunningGuests() leaves out those of another libvirt, and tells which are paused", () => {
  using fake = new FakeHost({
    ...guestProcess(30, "a", []),
    ...guestProcess(31, "b", []),
    ...guestProcess(32, "session", []),
    "/run/libvirt/qemu/a.pid": "30",
    "/run/libvirt/qemu/a.xml": "<domstatus state='paused' reason='user' pid='30'>\n",
    "/run/libvirt/qemu/b.pid": "31\n",
    "/run/libvirt/qemu/b.xml": "<domstatus state='running' reason='booted' pid='31'>\n<x state='paused'/>",
  });
  assert.deepEqual(readRunningGuests(fake.host).map(({ pid, paused }) => [pid, paused]), [
    [30, true],
    [31, false],
  ]);
});

Deno.test("diskPaths() takes the files and devices that are opened for writing", () => {
  const node = (value: unknown) => ["-blockdev", JSON.stringify(value)];
  assert.deepEqual(
    diskPaths([
      ...blockdev("/img/a", false, 1),
      ...blockdev("/img/base", true, 2),
      ...node({ driver: "host_device", filename: "/dev/vg/b", "node-name": "libvirt-3-storage" }),
      ...node({ driver: "raw", "node-name": "libvirt-3-format", file: "libvirt-3-storage" }),
      ...node({ driver: "file", filename: "/fw.fd", "node-name": "libvirt-pflash0-storage" }),
      ...node({ driver: "nbd", "node-name": "libvirt-4-storage" }),
      ...node({ driver: "file", filename: "/ro", "node-name": "n", "read-only": true }),
      "-blockdev",
      "{broken",
    ]),
    ["/img/a", "/dev/vg/b"],
  );
});

Deno.test("diskPaths() understands -drive, too", () => {
  assert.deepEqual(
    diskPaths([
      "-drive",
      "file=/img/a,,b,format=qcow2,if=none,id=drive-virtio-disk0",
      "-drive",
      "file=/iso,if=none,media=cdrom",
      "-drive",
      "file=/ro,if=none,readonly=on",
      "-drive",
      "file=/fw,if=pflash",
      "-drive",
      "file=rbd:pool/x,if=none",
      "-drive",
      "if=none",
    ]),
    ["/img/a,b"],
  );
});
