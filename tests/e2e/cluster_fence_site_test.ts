import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { ClusterSite } from "./support/cluster_site.ts";
import type { Release } from "./support/releases.ts";
import { defineGuest, guestOf, startGuests } from "./support/site_guests.ts";
import type { Place } from "./support/site_names.ts";

// One of three hosts, each with a member of etcd on it, loses its power while its guest runs, and with it a
// member of etcd. Somebody starts that guest on another host, whose cluster_fence_command fails, hangs, and
// works at last. On demand, as root, with VIRTLOCKD_TEST_SITE and a release of Debian: it fetches packages,
// and takes some minutes.

const RELEASE = Deno.env.get("VIRTLOCKD_TEST_SITE") as Release | undefined;
const [ASKS, BESIDE, DEAD]: readonly [Place, Place, Place] = [0, 1, 2];
const GUEST = guestOf(DEAD);
const PROGRAM = "/etc/libvirt/virtlockd-fence";
/** What the hosts share; the test has the management board of the host in it. */
const BOARD = "/var/lib/guests";
const PATIENCE = 240_000;
const EVERY = 500;

/** Notes how it is called, and from which unit. */
const NOTE = `echo "$1 $VIRTLOCKD_FENCE_DATA $(cut -d: -f3 /proc/self/cgroup | tail -n 1)" >>${BOARD}/calls`;

/** On the two hosts that stay the program does something else from now on, and is tried at once. */
async function program(site: ClusterSite, script: string, timeout: number): Promise<void> {
  const settings = `cluster_fence_command = "${PROGRAM}"\ncluster_fence_timeout = ${timeout}\n`;
  for (const place of [ASKS, BESIDE] as const) {
    const machine = site.machine(place);
    await machine.sh(`cat >${PROGRAM}.new; chmod 0755 ${PROGRAM}.new; mv ${PROGRAM}.new ${PROGRAM}`, {
      input: `#!/bin/sh\n${NOTE}\n${script}\n`,
    });
    await machine.sh("sed -i '/^cluster_fence_[ct]/d' /etc/libvirt/virtlockd.conf");
    await machine.sh("cat >>/etc/libvirt/virtlockd.conf", { input: settings });
    await machine.sh("systemctl kill --signal=HUP --kill-who=main virtlockd.service");
  }
}

async function calls(site: ClusterSite): Promise<readonly string[]> {
  return (await site.machine(ASKS).sh(`cat ${BOARD}/calls 2>/dev/null || true`)).split("\n").slice(0, -1);
}

/** What is wrong on a host, as `doctor` tells its administrator. */
async function doctor(site: ClusterSite): Promise<string> {
  return (await site.machine(ASKS).run(["virtlockd", "doctor"])).stdout;
}

/** The guest of the dead host is refused, and its locks stay. */
async function isRefused(site: ClusterSite): Promise<void> {
  assert.match(
    await site.libvirt(ASKS).virshError("start", GUEST),
    new RegExp(`is locked by domain '${GUEST}' .* on host 'kvm9', of which nothing is heard since`),
  );
  assert.equal((await site.lockedDomains()).filter((domain) => domain === GUEST).length, 2);
}

/** Waits until a try has failed for a reason, and is shown as such wherever people look. */
async function failsFor(site: ClusterSite, tries: number, reason: string): Promise<void> {
  const text = new RegExp(
    `Host 'kvm9' is not fenced, and its locks stay: .*${reason}.*That was try ${tries} of ${PROGRAM}`,
  );
  const told = await until(
    `try ${tries} to fail`,
    async () => {
      const said = await doctor(site);
      return text.test(said) && said;
    },
    PATIENCE,
    EVERY,
  );
  const machine = site.machine(ASKS);
  assert.match(await machine.sh("virtlockd status"), /fencing 1 host, 1 in vain/);
  assert.match(
    told,
    /Make sure that it is off and stays off; then free its locks: virtlockd cluster fence kvm9/,
  );
  assert.match(
    await machine.sh("virtlockd metrics"),
    new RegExp(`^virtlockd_cluster_fence_failures_total ${tries}$`, "m"),
  );
  assert.match(
    await machine.journal("virtlockd.service"),
    new RegExp(`Host 'kvm9' is not fenced, and its locks stay: .*${reason}`),
  );
  assert.match(await machine.sh("virtlockd cluster hosts"), /condemned by virtlockd on kvm7/);
  await isRefused(site);
}

if (RELEASE !== undefined) {
  Deno.test(`One of three hosts loses its power, and a program fences it (${RELEASE})`, async (t) => {
    await using site = await ClusterSite.start(RELEASE);
    await startGuests(site);
    const machine = site.machine(ASKS);
    await defineGuest(site, DEAD, ASKS);
    await site.machine(DEAD).sh(`
      echo 'cluster_fence_data = "10.0.0.9"' >>/etc/libvirt/virtlockd.conf
      virtlockd reload`);
    await site.untilLive(DEAD);
    await program(site, "echo no route to the board >&2; exit 3", 60);

    await t.step("its power goes: its guest is refused elsewhere, and the others run on", async () => {
      await site.powerOff(DEAD);
      await until(
        "it not to be heard of",
        async () => {
          return /^kvm9 .*silent/m.test(await machine.sh("virtlockd cluster hosts"));
        },
        60_000,
        EVERY,
      );
      await isRefused(site);
      for (const place of [ASKS, BESIDE] as const) {
        assert.equal((await site.libvirt(place).virsh("domstate", guestOf(place))).trim(), "running");
      }
    });

    await t.step("a program that fails fences nobody", async () => {
      await failsFor(site, 1, "ended with exit code 3: no route to the board");
    });

    await t.step("one that hangs is killed with what it has begun, and fences nobody", async () => {
      await program(site, "sleep 1000 & sleep 1000", 5);
      await failsFor(site, 2, "it did not end within \\d+ s");
      assert.equal((await machine.run(["pgrep", "-f", "sleep 1000"])).code, 1);
    });

    await t.step("one that succeeds, in a unit of its own, fences it, and the guest is started", async () => {
      const script = `touch ${BOARD}/asked-off; until [ -e ${BOARD}/is-off ]; do sleep 0.1; done`;
      await program(site, script, 300);
      // The board: it says so when the host is off, which it is.
      await until(
        "the program to ask",
        async () => {
          return (await machine.run(["test", "-e", `${BOARD}/asked-off`])).code === 0;
        },
        PATIENCE,
        EVERY,
      );
      assert.match(
        await machine.sh("systemctl list-units --plain --no-legend 'virtlockd-fence@*'"),
        /running/,
      );
      await isRefused(site);
      await machine.sh(`touch ${BOARD}/is-off`);
      await until(
        "it to be fenced",
        async () => {
          return /Host 'kvm9' is fenced: .* has said so\. 2 locks of it freed/.test(
            await machine.journal("virtlockd.service"),
          );
        },
        PATIENCE,
        EVERY,
      );
      await site.libvirt(ASKS).virsh("start", GUEST);
      assert.deepEqual(
        await site.lockedDomains(),
        [0, 0, 1, 1, 2, 2].map((place) => guestOf(place as Place)),
      );
      const called = await calls(site);
      // Where everything is slow the last program may be run once with the time of the one before.
      assert.ok(called.length >= 3);
      for (const line of called) assert.match(line, /^kvm9 10\.0\.0\.9 .*\/virtlockd-fence@[^/]*\.service/);
      assert.match(
        await machine.sh("virtlockd cluster hosts"),
        /fenced by virtlockd on kvm7, .*, with \/etc\/libvirt\/virtlockd-fence$/m,
      );
      assert.match(await machine.sh("virtlockd status"), /fencing 0 hosts/);
      assert.doesNotMatch(await doctor(site), /kvm9/);
      assert.match(await machine.sh("virtlockd metrics"), /^virtlockd_cluster_fences_total 1$/m);
    });

    await t.step("it is switched on again, and its guest runs once", async () => {
      await site.powerOn(DEAD);
      await site.untilLive(DEAD);
      const libvirt = site.libvirt(DEAD);
      await until("its libvirt to be ready", () => libvirt.answers(), PATIENCE, EVERY);
      assert.match(
        await libvirt.virshError("start", GUEST),
        /Failed to get "write" lock|is locked by domain/,
      );
      assert.equal((await site.libvirt(ASKS).virsh("domstate", GUEST)).trim(), "running");
      assert.equal((await site.lockedDomains()).length, 6);
    });
  });
}
