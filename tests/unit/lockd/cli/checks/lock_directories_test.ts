import assert from "node:assert/strict";
import { lockDirectories } from "../../../../../src/lockd/cli/checks/lock_directories.ts";
import type { Host } from "../../../../../src/lockd/cli/guests/host.ts";
import { lock } from "../cli_fixture.ts";
import { answering, FakeHost, found, NO_DAEMON, NOW } from "./check_fixture.ts";

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
  // Root can write wherever the file system is not read-only, so this host says no itself.
  const host: Host = Object.create(fake.host, { writable: { value: () => false } });
  const places = { value: fake.host.places };
  Object.defineProperties(host, {
    places,
    read: { value: (path: string) => fake.host.read(path) },
    kind: { value: (path: string) => fake.host.kind(path) },
  });
  const [first] = await lockDirectories.run({
    host,
    daemon: NO_DAEMON,
    lookAgain: () => NO_DAEMON,
    version: "1.0.0",
    now: NOW,
  });
  assert.equal(first?.level, "problem");
  assert.equal(
    first?.found,
    "Lock directory /locks/files cannot be written: guests that need a lock in it will not start",
  );
});
