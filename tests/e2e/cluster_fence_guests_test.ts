import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { ClusterHosts, clusterReleases } from "./support/cluster_hosts.ts";
import { ALPHA, BETA, defineRival, defineTenDisks, LOCKS } from "./support/ten_disk_guest.ts";

// A host that is cut off from the network while its guest runs, and that a program turns off because somebody
// asks for a lock of it, with real guests of ten disks and three members of etcd. On demand, as root, with
// VIRTLOCKD_TEST_CLUSTER: some minutes.

const RELEASES = clusterReleases();
const PROGRAM = "/etc/libvirt/virtlockd-fence";
/** What the hosts share; the test has the management board of the host in it. */
const BOARD = "/var/lib/guests";
const PATIENCE = 180_000;
const EVERY = 500;

/** Asks the board to turn the host off, and waits until it is. */
const SCRIPT = `#!/bin/sh
echo "$1 $VIRTLOCKD_FENCE_DATA" >>${BOARD}/asked
until [ -e ${BOARD}/is-off ]; do sleep 0.1; done
date +%s%3N >${BOARD}/ended
`;

if (RELEASES !== undefined) {
  Deno.test(`A program turns off a host that is cut off while its guest runs (${RELEASES.join(", ")})`, async (t) => {
    await using hosts = await ClusterHosts.start(RELEASES);
    for (const end of [1, 0] as const) await defineTenDisks(hosts, end, ALPHA, { leased: true });
    await defineRival(hosts, 1, BETA);
    await hosts.libvirt(0).virsh("start", "alpha");
    await hosts.runsOn(0, "alpha", LOCKS);
    const two = hosts.machine(1);
    const has = async (name: string) => (await two.run(["test", "-e", `${BOARD}/${name}`])).code === 0;
    await two.sh(`cat >${PROGRAM}; chmod 0755 ${PROGRAM}`, { input: SCRIPT });
    await two.sh(`echo 'cluster_fence_command = "${PROGRAM}"' >>/etc/libvirt/virtlockd.conf
      systemctl reload virtlockd.service`);

    await t.step("it is cut off, its guest runs on, and another one's start is refused", async () => {
      await hosts.cutOff(0);
      await hosts.untilSilent(0);
      assert.match(await hosts.libvirt(1).virshError("start", "beta"), /is locked by domain 'alpha'/);
      assert.equal(await hosts.state(0, "alpha"), "running");
    });

    await t.step("the program is run against it, and nothing is free before that ends", async () => {
      await until("the program to be run", () => has("asked"), PATIENCE, EVERY);
      assert.match(await two.sh("virtlockd cluster hosts"), /condemned by virtlockd on .*, with /);
      assert.match(await hosts.libvirt(1).virshError("start", "beta"), /is locked by domain 'alpha'/);
      assert.equal(await hosts.state(0, "alpha"), "running");
    });

    await t.step("it is off: its locks are free, and its guest is started on the other host", async () => {
      await hosts.powerOff(0);
      await two.sh(`touch ${BOARD}/is-off`);
      await until("the locks to be free", async () => (await hosts.locks()).length === 0, PATIENCE, 50);
      const free = Date.now();
      const ended = Number(await two.sh(`cat ${BOARD}/ended`));
      console.log(`The locks were free ${free - ended} ms after the program's end`);
      await hosts.libvirt(1).virsh("start", "alpha");
      await hosts.runsOn(1, "alpha", LOCKS);
      assert.equal((await two.sh(`cat ${BOARD}/asked`)).split("\n").length, 2);
      assert.match(
        await two.journal("virtlockd.service"),
        /is fenced: .* has said so\. 11 locks of it freed/,
      );
    });

    await t.step("it is switched on again, and is a member that has nothing", async () => {
      await hosts.powerOn(0);
      await hosts.untilLive(0);
      const refused = await hosts.libvirt(0).virshError("start", "alpha");
      assert.match(refused, /Failed to get "write" lock|is locked by domain 'alpha'/);
      assert.equal((await hosts.migrate("alpha", 1)).stderr, "");
      await hosts.runsOn(0, "alpha", LOCKS);
    });
  });
}
