import assert from "node:assert/strict";
import { leaseSettings } from "../../../../../src/lockd/cli/checks/lease_settings.ts";
import { found } from "./check_fixture.ts";

const ALL = "ok: Guests need not ask for a lock on a disk that they may write (auto_disk_leases)";

async function levels(text: string): Promise<string[]> {
  return (await found(leaseSettings, { "/etc/libvirt/qemu-lockd.conf": text }));
}

Deno.test("leaseSettings is content when every disk is locked, which is libvirt's default", async () => {
  assert.deepEqual(await found(leaseSettings, {}), [ALL]);
  assert.deepEqual(await levels("auto_disk_leases = 1\nrequire_lease_for_disks = 0\n"), [ALL]);
});

Deno.test("leaseSettings warns when each guest has to ask", async () => {
  const warning = "warning: /etc/libvirt/qemu-lockd.conf has auto_disk_leases = 0: disks are not locked, " +
    "but a guest without a <lease> is refused";
  assert.deepEqual(await levels("auto_disk_leases = 0\n"), [warning]);
  assert.deepEqual(await levels("auto_disk_leases = 0\nrequire_lease_for_disks = 1\n"), [warning]);
});

Deno.test("leaseSettings finds that a guest may run without any lock", async () => {
  assert.deepEqual(await levels("auto_disk_leases = 0\nrequire_lease_for_disks = 0\n"), [
    "problem: /etc/libvirt/qemu-lockd.conf has auto_disk_leases = 0 and require_lease_for_disks = 0: " +
    "a guest without a <lease> runs without any lock",
  ]);
});

Deno.test("leaseSettings says when the file is broken", async () => {
  const [broken] = await levels("auto_disk_leases 0\n");
  assert.match(broken ?? "", /^problem: .* is broken: /);
});
