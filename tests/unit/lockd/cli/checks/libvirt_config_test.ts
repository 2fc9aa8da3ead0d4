import assert from "node:assert/strict";
import {
  flagOf,
  readLibvirtConfig,
  readLockdConfig,
  textOf,
} from "../../../../../src/lockd/cli/checks/libvirt_config.ts";
import { FakeHost } from "./check_fixture.ts";

Deno.test("readLibvirtConfig() gives settings of the type that was asked for, the last one counting", () => {
  using fake = new FakeHost({ "/etc/libvirt/x.conf": 'a = "1"\na = "2"\nb = 0\nc = 5\nd = ""\ne = ["x"]\n' });
  const config = readLibvirtConfig(fake.host, "x.conf");
  assert.deepEqual(["a", "b", "d", "e", "f"].map((key) => textOf(config, key)), [
    "2",
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  assert.deepEqual(["a", "b", "c", "f"].map((key) => flagOf(config, key)), [
    undefined,
    false,
    true,
    undefined,
  ]);
});

Deno.test("readLibvirtConfig() tells an absent file from a broken one", () => {
  using fake = new FakeHost({ "/etc/libvirt/x.conf": "ok = 1\nbroken\n" });
  assert.deepEqual(readLibvirtConfig(fake.host, "y.conf"), { kind: "absent" });
  const broken = readLibvirtConfig(fake.host, "x.conf");
  assert.equal(broken.kind === "broken" && broken.path, "/etc/libvirt/x.conf");
  assert.match(broken.kind === "broken" ? broken.reason : "", /^\/etc\/libvirt\/x\.conf:2: /);
});

Deno.test("readLockdConfig() has libvirt's defaults for what is not set", () => {
  using none = new FakeHost({});
  const { autoDiskLeases, requireLeases, directories } = readLockdConfig(none.host);
  assert.deepEqual([autoDiskLeases, requireLeases, [...directories]], [true, false, []]);
  using manual = new FakeHost({
    "/etc/libvirt/qemu-lockd.conf":
      'auto_disk_leases = 0\nscsi_lockspace_dir = "/s"\nfile_lockspace_dir = "/f"\n',
  });
  const set = readLockdConfig(manual.host);
  assert.deepEqual([set.autoDiskLeases, set.requireLeases, [...set.directories]], [
    false,
    true,
    [["file_lockspace_dir", "/f"], ["scsi_lockspace_dir", "/s"]],
  ]);
});
