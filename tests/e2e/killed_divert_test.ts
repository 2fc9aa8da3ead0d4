import assert from "node:assert/strict";
import { host, runOk } from "./support/command.ts";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService } from "./support/lock_service.ts";
import { Machine } from "./support/nspawn.ts";
import { archive } from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import { until } from "../support/until.ts";
import { THOROUGH } from "../support/thorough.ts";

// The script that the RPM and the archive move a host with is killed before each command that changes
// something, with a guest running. The guest's locks are held, and the script can be run once more.

const DIVERT = "/usr/libexec/deno-virtlockd/divert";
const LIBVIRTS_REFUSAL = /Lockspace resource 'database' is locked\n/;

/** Kills the script before the $1th command that changes something; ends with 0 when there was none. */
const KILLING = `
count=0; at=$1; shift
before() {
  case $1 in mv* | ln* | rm* | systemctl* | kill* | *internal-hand-back*) count=$((count + 1)) ;; *) return 0 ;; esac
  [ "$count" -ne "$at" ] || kill -KILL $$
}
set -T
trap 'before "$BASH_COMMAND"' DEBUG
. ${DIVERT} "$@"
`;

/** Files in the places that libvirt's daemon has. */
const PLACES = `find /usr/sbin/virtlockd* /usr/lib/systemd/system/virtlockd* /usr/share/man/man8/virtlockd* \\
  /usr/share/augeas/lenses/virtlockd* ! -name 'virtlockd-exporter*' ! -name 'virtlockd-deputy*' \\
  -printf '%p %l\\n' 2>/dev/null | sort`;

// On demand only: each command takes ten seconds. Of its releases the one that is newer.
for (const release of THOROUGH ? releasesToTest().slice(-1) : []) {
  Deno.test(`On ${release} a move by hand that is killed on the way costs no lock, and can be finished`, async (t) => {
    const file = await archive();
    await using machine = await Machine.boot(release);
    const service = new LockService(machine);
    const { libvirt, disk, lease } = await defineGuests(machine);
    await libvirt.virsh("start", "alpha");
    const daemon = await service.pid();
    const prober = await LockProber.start(machine, disk, lease);
    const theirs = await machine.sh(PLACES);
    await runOk(host, ["tar", "-C", machine.outside("/"), "--no-same-owner", "-xf", file]);
    await machine.sh(`cat >/root/killing <<'END'\n${KILLING}END`);
    const killed = async (at: number, task: string) => {
      const { code, stderr } = await machine.run(["bash", "--posix", "/root/killing", String(at), task]);
      assert.ok(code === 0 || code === 137, stderr);
      return code === 137;
    };
    const refused = async (by: RegExp) => {
      assert.match(await libvirt.virshError("start", "beta"), by);
      assert.equal(await service.pid(), daemon);
    };
    const LOCKED = /Lockspace resource 'database' is locked( by domain 'alpha'.*)?\n/;

    await t.step("apply", async () => {
      let at = 1;
      for (; await killed(at, "apply"); at++) {
        await refused(LOCKED);
        await machine.sh(`${DIVERT} apply`);
        await refused(REFUSED_BY_ALPHA);
        await machine.sh(`${DIVERT} restore`);
        assert.equal(await machine.sh(PLACES), theirs);
        await refused(LIBVIRTS_REFUSAL);
      }
      assert.ok(at > 15, `killed ${at} times`);
    });

    await t.step("restore", async () => {
      let at = 1;
      for (; await killed(at, "restore"); at++) {
        // The daemon that was told to execute libvirt's program goes on by itself.
        await until(
          "a daemon",
          async () => (await machine.run(["virt-admin", "-c", "virtlockd:///system", "version"])).code === 0,
        );
        await refused(LOCKED);
        await machine.sh(`${DIVERT} restore`);
        assert.equal(await machine.sh(PLACES), theirs);
        await refused(LIBVIRTS_REFUSAL);
        await machine.sh(`${DIVERT} apply`);
        await refused(REFUSED_BY_ALPHA);
      }
      assert.ok(at > 8, `killed ${at} times`);
      assert.equal(await machine.sh(PLACES), theirs);
      await refused(LIBVIRTS_REFUSAL);
    });
    await prober.neverGranted(1000);
  });
}
