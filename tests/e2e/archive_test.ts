import assert from "node:assert/strict";
import { host, runOk } from "./support/command.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { archive } from "./support/packages.ts";
import { until } from "./support/until.ts";

// The move by hand of docs/operating.md, on a host that has neither Deno nor npm.

const PROGRAM = "/usr/libexec/deno-virtlockd/virtlockd";
const DIVERT = "/usr/libexec/deno-virtlockd/divert";
const RUNTIME = "/usr/libexec/deno-virtlockd/deno";

Deno.test("The archive moves a running host over and back by hand, and no lock is dropped", async (t) => {
  const file = await archive();
  await using machine = await Machine.boot();
  const service = new LockService(machine);
  const { libvirt, disk } = await defineGuests(machine);
  await libvirt.virsh("start", "alpha");
  const daemon = await service.pid();
  const prober = await LockProber.start(machine, disk);
  const unpack = () => runOk(host, ["tar", "-C", machine.outside("/"), "--no-same-owner", "-xf", file]);
  await unpack();
  const before = await machine.sh("find /usr/sbin/virtlockd* /usr/lib/systemd/system/virtlockd* -ls");

  await t.step("a program that does not run here changes nothing", async () => {
    for (const broken of [`rm ${RUNTIME}`, `printf 'not a program' >${RUNTIME}`]) {
      await machine.sh(broken);
      const { code, stderr } = await machine.run([DIVERT, "apply"]);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^deno-virtlockd: \S+ does not run on this host: (.*\n)+deno-virtlockd: Nothing was changed\.\n$/,
      );
      assert.equal(
        await machine.sh("find /usr/sbin/virtlockd* /usr/lib/systemd/system/virtlockd* -ls"),
        before,
      );
    }
    assert.equal(await service.pid(), daemon);
    await unpack();
  });

  await t.step("apply hands the daemon over", async () => {
    assert.match(await machine.sh(`${PROGRAM} --version`), /^virtlockd \(deno-virtlockd\) /);
    assert.equal(await machine.sh(`${DIVERT} apply 2>&1`), "");
    assert.match(await machine.sh("virtlockd locks"), / alpha /);
    assert.equal(await service.pid(), daemon);
    assert.match(await libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
  });

  await t.step("apply over what is there already keeps everything", async () => {
    await unpack();
    assert.equal(await machine.sh(`${DIVERT} apply 2>&1`), "");
    assert.equal(await service.pid(), daemon);
  });

  await t.step("restore gives everything back", async () => {
    assert.equal(await machine.sh(`${DIVERT} restore 2>&1`), "");
    await until(
      "libvirt's daemon",
      async () => (await libvirt.virtAdmin("version")).includes("daemon: 9.0.0"),
    );
    assert.equal(await service.pid(), daemon);
    assert.match(await libvirt.virshError("start", "beta"), /Lockspace resource 'database' is locked\n/);
    assert.equal(await machine.sh("dpkg --verify libvirt-daemon"), "");
  });

  assert.equal((await prober.stop()).grants, 0);
});
