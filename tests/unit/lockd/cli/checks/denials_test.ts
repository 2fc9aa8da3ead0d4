import assert from "node:assert/strict";
import { denials } from "../../../../../src/lockd/cli/checks/denials.ts";
import { found } from "./check_fixture.ts";

// The examination is at second 1795266578.
const AVC =
  'type=AVC msg=audit(1795266000.100:7): avc:  denied  { lock } for pid=5 comm="virtlockd" path="/x"\n';
const APPARMOR =
  'kernel: audit: type=1400 audit(1795266000.1:8): apparmor="DENIED" profile="virtlockd" name="/y"\n';

Deno.test("denials has nothing to say where no security module is active", async () => {
  assert.deepEqual(await found(denials, {}), []);
  assert.deepEqual(await found(denials, { "/var/log/audit/audit.log": "type=LOGIN\n" }), []);
});

Deno.test("denials shows the last of the denials", async () => {
  const old = AVC.replace("1795266000", "1794000000");
  const other = AVC.replace("virtlockd", "libvirtd");
  assert.deepEqual(await found(denials, { "/var/log/audit/audit.log": old + AVC + AVC + other }), [
    `warning: SELinux has denied the daemon something 2 times (/var/log/audit/audit.log): ${AVC.trim()}`,
  ]);
  assert.deepEqual(await found(denials, { "/var/log/kern.log": APPARMOR }), [
    `warning: AppArmor has denied the daemon something 1 time (/var/log/kern.log): ${APPARMOR.trim()}`,
  ]);
});

Deno.test("denials is content when a log can be read and has none", async () => {
  const tree = { "/sys/fs/selinux/enforce": "1", "/var/log/audit/audit.log": "type=LOGIN\n" };
  assert.deepEqual(await found(denials, tree), ["ok: No denial of SELinux in /var/log/audit/audit.log"]);
});

Deno.test("denials says when there is no log to look into", async () => {
  const tree = { "/sys/fs/selinux/enforce": "1", "/sys/kernel/security/apparmor/profiles": "" };
  assert.deepEqual(await found(denials, tree), [
    "warning: SELinux and AppArmor is active, but no log with its denials can be read",
  ]);
});
