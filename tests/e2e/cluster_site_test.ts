import assert from "node:assert/strict";
import { until } from "../support/until.ts";
import { ClusterSite } from "./support/cluster_site.ts";
import type { Release } from "./support/releases.ts";
import { textWith } from "./support/page.ts";
import { guestOf, startGuests } from "./support/site_guests.ts";
import { CLUSTER_PAGE, PLACES } from "./support/site_names.ts";

// Three hosts, each with a member of etcd on it, that lose their power together and are started together,
// with real guests that start with them. On demand, as root, with VIRTLOCKD_TEST_SITE and a release of
// Debian: it fetches packages, and takes some minutes.

const RELEASE = Deno.env.get("VIRTLOCKD_TEST_SITE") as Release | undefined;
/** How late everything is, in ms. */
const LATE_MS = 20_000;
const CERTIFICATES = "etc/libvirt/virtlockd-cluster";
/** Where docs/cluster.md says what people do then. */
const HEADING = "After a loss of power";

/** Every guest runs on its own host, and has its locks there and nowhere else. */
async function runOnce(site: ClusterSite): Promise<void> {
  for (const place of PLACES) {
    const machine = site.machine(place);
    await until(`${guestOf(place)} to run`, async () => {
      // While libvirt starts guests it answers nobody.
      const { stdout } = await machine.run(["timeout", "5", "virsh", "list", "--name"]);
      return stdout.trim() === guestOf(place);
    }, 240_000);
    assert.equal((await machine.sh("pgrep -c qemu-system")).trim(), "1");
  }
  const domains = PLACES.flatMap((place) => [guestOf(place), guestOf(place)]);
  assert.deepEqual(await site.lockedDomains(), domains);
}

async function losePower(site: ClusterSite): Promise<void> {
  await Promise.all(PLACES.map((place) => site.powerOff(place)));
}

async function untilNoLock(site: ClusterSite): Promise<void> {
  await until("all locks to be given back", async () => (await site.lockedDomains()).length === 0, 180_000);
}

async function destroyGuests(site: ClusterSite): Promise<void> {
  for (const place of PLACES) await site.libvirt(place).virsh("destroy", guestOf(place));
  await untilNoLock(site);
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

if (RELEASE !== undefined) {
  Deno.test(`Three hosts with members of etcd lose their power and are started together (${RELEASE})`, async (t) => {
    await using site = await ClusterSite.start(RELEASE);
    await startGuests(site);
    await runOnce(site);

    await t.step("with guests that did not run", async () => {
      await destroyGuests(site);
      await losePower(site);
      await Promise.all(PLACES.map((place) => site.powerOn(place)));
      await runOnce(site);
    });

    await t.step("with network, names and certificates that come late", async () => {
      await destroyGuests(site);
      const begun = Date.now();
      const certificate = await site.certificates.validFrom("kvm9", new Date(begun + 1.5 * LATE_MS));
      await losePower(site);
      await site.onDisk(1, "cat etc/hosts >hosts.late; rm etc/hosts");
      await site.onDisk(
        2,
        `cat ${CERTIFICATES}/ca.pem >ca.late; rm ${CERTIFICATES}/ca.pem; cat >${CERTIFICATES}/kvm9.pem <<'END'\n${certificate}END`,
      );
      await Promise.all([site.powerOn(0, "late"), site.powerOn(1), site.powerOn(2)]);
      // Not for a state to come: this is how long the operator's network is away.
      await wait(LATE_MS - (Date.now() - begun));
      await site.plug(0);
      await site.machine(1).sh("cat /hosts.late >/etc/hosts");
      await site.machine(2).sh(`cat /ca.late >/${CERTIFICATES}/ca.pem`);
      await runOnce(site);
    });

    await t.step("with guests that ran: a person says that they are gone", async () => {
      await losePower(site);
      await Promise.all(PLACES.map((place) => site.powerOn(place)));
      for (const place of PLACES) {
        await site.untilLive(place);
        assert.match(
          await site.libvirt(place).virshError("start", guestOf(place)),
          new RegExp(`is locked by domain '${guestOf(place)}'.*virtlockd cluster fence`),
        );
      }
      const fence = await textWith(CLUSTER_PAGE, HEADING, "cluster fence");
      await until("all hosts before to be fenced", async () => {
        const { stderr } = await site.machine(0).run(["sh", "-c", fence], { deadline: 180_000 });
        const said = stderr.split("\n").filter((line) => line !== "");
        // Members that have just been started may answer late, and a person says it once more.
        for (const line of said) assert.match(line, /etcd does not answer|was fenced already/);
        return !said.some((line) => line.includes("etcd does not answer"));
      }, 600_000);
      const again = await textWith(CLUSTER_PAGE, HEADING, "autostarted");
      for (const place of PLACES) await site.machine(place).sh(again);
      await runOnce(site);
    });
  });
}
