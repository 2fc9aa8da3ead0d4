import assert from "node:assert/strict";
import { lockPlugin } from "../../../../../src/lockd/cli/checks/lock_plugin.ts";
import { found } from "./check_fixture.ts";

const WANTED = { "/etc/libvirt/qemu.conf": 'lock_manager = "lockd"\n', "/usr/sbin/libvirtd": "" };

Deno.test("lockPlugin finds the plugin where the distributions have it", async () => {
  for (
    const directory of ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
  ) {
    const path = `${directory}/libvirt/lock-driver/lockd.so`;
    assert.deepEqual(await found(lockPlugin, { ...WANTED, [path]: "" }), [
      `ok: libvirt's plugin is installed: ${path}`,
    ]);
  }
});

Deno.test("lockPlugin says when it is missing, and what libvirt does then", async () => {
  const tree = { ...WANTED, "/usr/lib/x86_64-linux-gnu/libvirt/lock-driver/sanlock.so": "" };
  assert.deepEqual(await found(lockPlugin, tree), [
    'problem: libvirt\'s plugin lockd.so is not installed, but lock_manager = "lockd" needs it: libvirt does not start',
  ]);
});

Deno.test("lockPlugin has nothing to say where it is not needed, or where libvirt is somewhere else", async () => {
  assert.deepEqual(await found(lockPlugin, { "/usr/sbin/libvirtd": "", "/etc/libvirt/qemu.conf": "" }), []);
  assert.deepEqual(await found(lockPlugin, { "/etc/libvirt/qemu.conf": 'lock_manager = "lockd"\n' }), []);
});
