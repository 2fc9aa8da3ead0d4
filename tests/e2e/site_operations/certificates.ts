import assert from "node:assert/strict";
import { host, runOk } from "../support/command.ts";
import { textsOf } from "../support/page.ts";
import { ETCD_PAGE, NAMES, ofHost, ofMember, type Place, PLACES } from "../support/site_names.ts";
import { eachMember, lockAnew, type Scene } from "./scene.ts";

/** Members and hosts get certificates of the same authority. */
export async function newCertificates(scene: Scene): Promise<void> {
  await withSessionsKept(scene, async () => {
    const { site } = scene;
    await site.certificates.sign();
    await bring(scene);
    await replace(scene);
    for (const place of PLACES) {
      assert.equal(await shown(scene, place), await brought(scene, place));
      await lockAnew(scene, place);
    }
  });
}

/** All get certificates of another authority, and nobody believes the old one any more. */
export async function newAuthority(scene: Scene): Promise<void> {
  const { site } = scene;
  const [make = "", bothOnMember = "", bothOnHost = "", oneOnMember = "", oneOnHost = ""] = await textsOf(
    ETCD_PAGE,
    "A new authority",
  );
  await withSessionsKept(scene, async () => {
    await site.certificates.run(make);
    await site.machine(0).sh(`cd ${site.keeper}; cp root.pem old.pem; cp root-key.pem old-key.pem`);
    for (const place of PLACES) await site.certificates.copy(site.machine(place), "both", site.keeper);
    await eachMember(scene, (place) => inKeeper(scene, bothOnMember, place));
    for (const place of PLACES) await inKeeper(scene, bothOnHost, place);
    for (const place of PLACES) await inKeeper(scene, "cp both.pem ca.pem", place);
    await lockAnew(scene, 0);

    await site.certificates.sign();
    await bring(scene);
    for (const place of PLACES) await inKeeper(scene, "cp ca.pem new.pem; cp both.pem ca.pem", place);
    await replace(scene);
    await lockAnew(scene, 1);

    for (const place of PLACES) await inKeeper(scene, "cp new.pem ca.pem", place);
    await eachMember(scene, (place) => inKeeper(scene, oneOnMember, place));
    for (const place of PLACES) await inKeeper(scene, oneOnHost, place);
    await lockAnew(scene, 2);
  });
  const old = "ETCDCTL_CERT=old.pem ETCDCTL_KEY=old-key.pem etcdctl get x";
  await assert.rejects(site.asRoot(old), /bad certificate|unknown certificate|deadline exceeded/);
}

/** What is as the page has it on each member and each host. */
async function replace(scene: Scene): Promise<void> {
  const [member = "", host = ""] = await textsOf(ETCD_PAGE, "A new certificate");
  for (const place of PLACES) await inKeeper(scene, ofMember(member, place), place);
  for (const place of PLACES) await inKeeper(scene, ofHost(host, place), place);
}

async function bring({ site }: Scene): Promise<void> {
  for (const place of PLACES) await site.certificates.bring(site.machine(place), place, site.keeper);
}

async function inKeeper({ site }: Scene, script: string, place: Place): Promise<void> {
  await site.machine(place).sh(`cd ${site.keeper}\n${script}`);
}

/** The serial number of the certificate that a member shows to whoever connects. */
async function shown({ site }: Scene, place: Place): Promise<string> {
  const { init } = site.machine(place);
  const [certificate, key] = ["root.pem", "root-key.pem"].map((name) => {
    return site.machine(place).outside(`${site.keeper}/${name}`);
  });
  const connect = `openssl s_client -connect ${NAMES[place].address}:2379 -cert ${certificate} -key ${key}`;
  return await runOk(host, [
    "sh",
    "-ec",
    `nsenter --net=/proc/${init}/ns/net ${connect} </dev/null 2>&1 | openssl x509 -noout -serial`,
  ]);
}

/** That of the one which was brought to its machine last. */
async function brought({ site }: Scene, place: Place): Promise<string> {
  const file = site.machine(place).outside(`${site.keeper}/${NAMES[place].member}.pem`);
  return await runOk(host, ["openssl", "x509", "-noout", "-serial", "-in", file]);
}

/** Guests run on meanwhile, and every host is the member that it was. */
async function withSessionsKept({ site, guests }: Scene, what: () => Promise<void>): Promise<void> {
  const before = await site.hosts();
  await guests.undisturbed(what);
  for (const place of PLACES) await site.untilLive(place);
  assert.deepEqual(await site.hosts(), before);
}
