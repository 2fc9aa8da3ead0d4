import assert from "node:assert/strict";
import { lockDirectories } from "../../../../../src/lockd/cli/checks/lock_directories.ts";
import { Host } from "../../../../../src/lockd/cli/guests/host.ts";
import { EROFS } from "../../../../../src/os/errno.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";
import { lock } from "../cli_fixture.ts";
import type { LockspaceEntry } from "../../../../../src/lockd/status/status_document.ts";
import { answering, FakeHost, found, patientOf } from "./check_fixture.ts";

const CONF = {
  "/etc/libvirt/qemu-lockd.conf":
    'file_lockspace_dir = "/locks/files"\nlvm_lockspace_dir = "/locks/lvm"\nscsi_lockspace_dir = ""\n',
};

Deno.test("lockDirectories is content with directories that can be written", async () => {
  assert.deepEqual(await found(lockDirectories, { ...CONF, "/locks/files/": "", "/locks/lvm/": "" }), [
    "ok: Lock directory /locks/files can be written",
    "ok: Lock directory /locks/lvm can be written",
  ]);
});

Deno.test("lockDirectories finds what is missing, or no directory", async () => {
  assert.deepEqual(await found(lockDirectories, { ...CONF, "/locks/lvm": "a file" }), [
    "warning: Lock directory /locks/files is not there",
    "problem: /locks/lvm is configured as a lock directory, but is none",
  ]);
});

Deno.test("lockDirectories looks at those that are in use, too", async () => {
  const daemon = answering([lock({ id: 1, lockspace: "/used" }), lock({ id: 2, lockspace: "" })]);
  assert.deepEqual(await found(lockDirectories, {}, daemon), [
    "warning: Lock directory /used is not there",
  ]);
});

Deno.test("lockDirectories finds a directory that cannot be written", async () => {
  using fake = new FakeHost({ ...CONF, "/locks/files/": "", "/locks/lvm/": "" });
  // Root can write wherever the file system is not read-only, so the kernel says no here.
  const host = new Host({ ...linuxSys(), access: () => -EROFS }, fake.root, fake.host.places);
  const [first] = await lockDirectories.run(patientOf(host));
  assert.equal(first?.level, "problem");
  assert.equal(
    first?.found,
    "Lock directory /locks/files cannot be written: guests that need a lock in it will not start",
  );
});

/** What the daemon knows of lock directories. */
function knowing(...lockspaces: LockspaceEntry[]) {
  return answering([], { lockspaces });
}

Deno.test("lockDirectories finds what libvirt should have made, or registered, when it started", async () => {
  const files = { ...CONF, "/locks/files/": "" };
  const running = { ...files, "/run/libvirtd.pid": "5" };
  assert.deepEqual(await found(lockDirectories, running, knowing()), [
    "problem: libvirtd runs, but has not registered the lock directory /locks/files: " +
    "guests that need a lock in it will not start",
    "problem: Lock directory /locks/lvm is not there: guests that need a lock in it will not start",
  ]);
  assert.deepEqual(await found(lockDirectories, files, knowing()), [
    "ok: Lock directory /locks/files can be written",
    "warning: Lock directory /locks/lvm is not there",
  ]);
  const known = knowing({ path: "/locks/files", origin: "registered" }, {
    path: "/locks/lvm",
    origin: "registered",
  });
  assert.deepEqual(await found(lockDirectories, running, known), [
    "ok: Lock directory /locks/files can be written",
    "ok: Lock directory /locks/lvm is not there, and is made for the next lock in it",
  ]);
});

Deno.test("lockDirectories finds one whose file system is not mounted", async () => {
  const mount = { source: "nas:/locks", type: "nfs4", point: "/locks" };
  const known = knowing({ path: "/locks/files", origin: "registered", mount });
  const conf = {
    "/etc/libvirt/qemu-lockd.conf": 'file_lockspace_dir = "/locks/files"\n',
    "/locks/files/": "",
  };
  const root = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  const nas = "30 22 0:40 / /locks rw - nfs4 nas:/locks rw\n";
  const hidden = `${nas}31 30 8:2 / /locks/files rw - ext4 /dev/sdb1 rw\n`;
  assert.deepEqual(await found(lockDirectories, { ...conf, "/proc/self/mountinfo": root }, known), [
    "problem: Lock directory /locks/files belongs on nas:/locks (nfs4) at /locks, which is not mounted: " +
    "no guest gets a lock in it",
  ]);
  for (const mounts of [nas, hidden]) {
    assert.deepEqual(
      await found(lockDirectories, { ...conf, "/proc/self/mountinfo": root + mounts }, known),
      [
        "ok: Lock directory /locks/files can be written",
      ],
    );
  }
});

Deno.test("lockDirectories does not touch storage that does not answer", async () => {
  using fake = new FakeHost({ ...CONF, "/locks/lvm/": "" });
  const isSilent = (path: string) => path.startsWith("/locks/files");
  const host = new Host(linuxSys(), fake.root, fake.host.places, isSilent);
  const findings = await lockDirectories.run(patientOf(host));
  assert.deepEqual(findings.map(({ found }) => found), ["Lock directory /locks/lvm can be written"]);
});
