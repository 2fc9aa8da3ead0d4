import { ClusterSite } from "./support/cluster_site.ts";
import { installMissing } from "./support/debian_packages.ts";
import type { Release } from "./support/releases.ts";
import { WatchedGuests } from "./support/watched_guests.ts";
import { PLACES } from "./support/site_names.ts";
import { backup } from "./site_operations/backup.ts";
import { newAuthority, newCertificates } from "./site_operations/certificates.ts";
import { deadHost } from "./site_operations/dead_host.ts";
import { laggingMember } from "./site_operations/lagging.ts";
import { newVersion, nextMinorVersion, replacement } from "./site_operations/members.ts";
import type { Scene } from "./site_operations/scene.ts";
import { shutOut } from "./site_operations/shut_out.ts";
import { fullDatabase } from "./site_operations/space.ts";
import { viewer } from "./site_operations/viewer.ts";

// What docs/cluster-etcd.md and docs/cluster.md have for the years behind the first day, done as it is
// written there, on three machines that were set up by the same pages: while real guests run on them, and on
// every host somebody asks for the locks of the others' guests. On demand, as root, with VIRTLOCKD_TEST_SITE
// and a release of Debian: it fetches packages, and takes some fifteen minutes.

const RELEASE = Deno.env.get("VIRTLOCKD_TEST_SITE") as Release | undefined;

const OPERATIONS: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  "a backup, and back": backup,
  "a member is replaced": replacement,
  "a new authority": newAuthority,
  "the database is full": fullDatabase,
  "a host is dead": deadHost,
  "a host is shut out": shutOut,
  "a member lags behind": laggingMember,
  "somebody looks from elsewhere": viewer,
  "new certificates": newCertificates,
  "a new version of etcd": newVersion,
  // What Debian 12 has is 3.4.
  ...RELEASE === "bookworm" ? { "the next minor version of etcd": nextMinorVersion } : {},
};

if (RELEASE !== undefined) {
  Deno.test(`What is done to a cluster and its etcd while guests run (${RELEASE})`, async (t) => {
    await installMissing(["nftables", "openssl"]);
    await using site = await ClusterSite.start(RELEASE);
    const guests = new WatchedGuests(site);
    for (const place of PLACES) await guests.start(`guest${place}`, place);
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      await t.step(name, () => operation({ site, guests }));
    }
    console.log(`Somebody was refused a lock of theirs ${guests.refused} times.`);
  });
}
