import assert from "node:assert/strict";
import { readRunningGuests } from "../../../../../src/lockd/cli/guests/running_guests.ts";
import { diskXml, FakeHost, GUEST_UUID, guestProcess } from "../checks/check_fixture.ts";

Deno.test("readRunningGuests() reads libvirt's live state of each guest whose QEMU runs", () => {
  using fake = new FakeHost({
    ...guestProcess(200, "b", [diskXml("file='/img/b'")]),
    ...guestProcess(30, "a", []),
    ...guestProcess(31, "ended", []),
    "/proc/31/cmdline": "/usr/bin/other\0-uuid\0x\0",
    ...guestProcess(32, "also-ended", []),
    "/proc/32/cmdline": "",
    "/run/libvirt/qemu/a.pid": "30",
    "/run/libvirt/qemu/odd.xml": "<domstats/>",
    "/run/libvirt/qemu/c.xml.new": "<dom",
  });
  assert.deepEqual(readRunningGuests(fake.host), {
    guests: [
      { pid: 30, name: "a", uuid: GUEST_UUID, disks: [], leases: [], backing: [], lockable: true },
      {
        pid: 200,
        name: "b",
        uuid: GUEST_UUID,
        disks: [{ kind: "path", path: "/img/b" }],
        leases: [],
        backing: [],
        lockable: true,
      },
    ],
    unknown: [],
  });
});

Deno.test("readRunningGuests() does not see a QEMU that another libvirt, or nobody, has started", () => {
  using fake = new FakeHost({
    "/proc/30/cmdline": `/usr/bin/qemu-system-x86_64\0-uuid\0${GUEST_UUID}\0`,
    "/run/user/1000/libvirt/qemu/run/a.xml": guestProcess(30, "a", [])["/run/libvirt/qemu/a.xml"] ?? "",
  });
  assert.deepEqual(readRunningGuests(fake.host), { guests: [], unknown: [] });
});

Deno.test("readRunningGuests() tells in which states libvirt holds a guest's locks", () => {
  const states = ["running", "blocked", "pmsuspended", "paused", "shutdown", "shutoff", "crashed", "nostate"];
  const lockable = states.filter((state) => {
    using fake = new FakeHost(guestProcess(30, "a", [], { state }));
    return readRunningGuests(fake.host).guests[0]?.lockable;
  });
  assert.deepEqual(lockable, ["running", "blocked", "pmsuspended"]);
});

Deno.test("readRunningGuests() says of which guest nothing is known", () => {
  using fake = new FakeHost({ "/run/libvirt/qemu/a.xml": "<domstatus>", "/run/libvirt/qemu/b.xml/": "" });
  assert.deepEqual(readRunningGuests(fake.host), {
    guests: [],
    unknown: [
      "/run/libvirt/qemu/a.xml is not understood: <domstatus> does not end",
      "/run/libvirt/qemu/b.xml cannot be read",
    ],
  });
});
