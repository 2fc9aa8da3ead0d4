import assert from "node:assert/strict";
import { lockDirectories } from "../../../../../src/lockd/cli/checks/lock_directories.ts";
import { Host } from "../../../../../src/lockd/cli/guests/host.ts";
import { EROFS } from "../../../../../src/os/errno.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";
import { lock } from "../cli_fixture.ts";
import {
  answering,
  domainXml,
  FakeHost,
  found,
  guestProcess,
  patientOf,
  type Tree,
} from "./check_fixture.ts";

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

Deno.test("lockDirectories finds what libvirt should have made, or registered, when it started", async () => {
  const running = { ...CONF, "/run/libvirtd.pid": "5", "/locks/files/": "" };
  assert.deepEqual(await found(lockDirectories, running, answering([], { lockspaces: [] })), [
    "problem: The daemon does not know the lock directory /locks/files: " +
    "guests that need a lock in it are told that it does not exist",
    "problem: Lock directory /locks/lvm is not there: guests that need a lock in it will not start",
  ]);
  const known = answering([], { lockspaces: ["/locks/files", "/locks/lvm"] });
  assert.deepEqual(await found(lockDirectories, { ...running, "/locks/lvm/": "" }, known), [
    "ok: Lock directory /locks/files can be written",
    "ok: Lock directory /locks/lvm can be written",
  ]);
});

Deno.test("lockDirectories looks after leases, for which libvirt makes and registers nothing", async () => {
  const GUESTS = { "/etc/libvirt/qemu/a.xml": domainXml("a", [], 1), ...guestProcess(30, "a", []) };
  const said = (tree: Tree, lockspaces: string[]) =>
    found(lockDirectories, { ...GUESTS, ...tree }, answering([], { lockspaces }));
  const what = "problem: Guest 'a' has the lease /leases/x/k0 and will not start: ";
  assert.deepEqual(await said({}, []), [`${what}there is no directory /leases/x`]);
  assert.deepEqual(await said({ "/leases/x/": "" }, []), [`${what}that file is not there`]);
  assert.deepEqual(await said({ "/leases/x/k0": "" }, []), [
    `${what}the daemon does not know the lock directory /leases/x`,
  ]);
  assert.deepEqual(await said({ "/leases/x/k0": "" }, ["/leases/x"]), []);
  assert.deepEqual(await found(lockDirectories, { ...GUESTS, "/leases/x/k0": "" }), []);
});

Deno.test("lockDirectories does not touch storage that does not answer", async () => {
  using fake = new FakeHost({ ...CONF, "/locks/lvm/": "" });
  const isSilent = (path: string) => path.startsWith("/locks/files");
  const host = new Host(linuxSys(), fake.root, fake.host.places, isSilent);
  const findings = await lockDirectories.run(patientOf(host));
  assert.deepEqual(findings.map(({ found }) => found), ["Lock directory /locks/lvm can be written"]);
});
