import assert from "node:assert/strict";
import { lockManager } from "../../../../../src/lockd/cli/checks/lock_manager.ts";
import { found } from "./check_fixture.ts";

Deno.test("lockManager is content with lockd", async () => {
  assert.deepEqual(
    await found(lockManager, { "/etc/libvirt/qemu.conf": 'user = "root"\nlock_manager = "lockd"\n' }),
    [
      'ok: /etc/libvirt/qemu.conf has lock_manager = "lockd"',
    ],
  );
});

Deno.test("lockManager finds that none is set, or another", async () => {
  assert.deepEqual(await found(lockManager, { "/etc/libvirt/qemu.conf": '#lock_manager = "lockd"\n' }), [
    "problem: /etc/libvirt/qemu.conf sets no lock_manager: guests start without any lock",
  ]);
  assert.deepEqual(await found(lockManager, { "/etc/libvirt/qemu.conf": 'lock_manager = "nop"\n' }), [
    'problem: /etc/libvirt/qemu.conf has lock_manager = "nop": guests start without a lock of this daemon',
  ]);
  assert.deepEqual(await found(lockManager, { "/etc/libvirt/qemu.conf": 'lock_manager = "sanlock"\n' }), [
    'warning: /etc/libvirt/qemu.conf has lock_manager = "sanlock": this daemon is not asked',
  ]);
});

Deno.test("lockManager says when the file is missing or broken", async () => {
  assert.deepEqual(await found(lockManager, {}), [
    "warning: /etc/libvirt/qemu.conf is not there: libvirt's default is no lock manager",
  ]);
  assert.deepEqual(
    await found(lockManager, { "/etc/libvirt/qemu.conf/": "" }),
    [
      "warning: /etc/libvirt/qemu.conf cannot be read: libvirt's default is no lock manager",
    ],
  );
  const [broken] = await found(lockManager, { "/etc/libvirt/qemu.conf": "user = \n" });
  assert.match(
    broken ?? "",
    /^problem: \/etc\/libvirt\/qemu\.conf is broken: \/etc\/libvirt\/qemu\.conf:1: /,
  );
});

Deno.test("lockManager looks at libxl.conf in the control domain of Xen alone", async () => {
  const tree = {
    "/etc/libvirt/qemu.conf": 'lock_manager = "lockd"\n',
    "/etc/libvirt/libxl.conf": "autoballoon = 1\n",
  };
  const qemu = 'ok: /etc/libvirt/qemu.conf has lock_manager = "lockd"';
  assert.deepEqual(await found(lockManager, tree), [qemu]);
  assert.deepEqual(await found(lockManager, { ...tree, "/proc/xen/capabilities": "control_d\n" }), [
    qemu,
    "problem: /etc/libvirt/libxl.conf sets no lock_manager: guests start without any lock",
  ]);
});
