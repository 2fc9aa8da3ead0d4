import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { encodeRecord } from "../../src/lockd/cluster/keys/records.ts";
import { StatusProcedure } from "../../src/lockd/wire/status_protocol.ts";
import { AdminClient } from "../support/admin_client.ts";
import { LockClient } from "../support/lock_client.ts";
import { PlayedGuest } from "../support/played_guest.ts";
import { holderOf, keysOf, openedCluster, PlayedHost } from "../support/played_host.ts";
import { until } from "../support/until.ts";

const KEYS = new ClusterKeys("test");
const DISK = KEYS.exclusive({ space: "scsi", name: "disk" });
const OTHER = KEYS.exclusive({ space: "scsi", name: "other" });
const SESSION = "session-of-b";
/** ACQUIRE_RESOURCE's flag. */
const SHARED = 1;
const ELSEWHERE = { session: SESSION, attempt: "only", domain: "elsewhere", pid: 1, start: 1, since: 1 };

Deno.test("a guest does not go on with a lock that etcd has given away when the daemon is killed in releasing it", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startManaged(etcd, "a");
  await using guest = await PlayedGuest.start(a);
  await using beside = await PlayedGuest.start(a);
  assert.equal(await guest.acquire("disk"), "granted");
  const { session }: { readonly session: string } = JSON.parse(etcd.get(DISK) ?? "");
  // Another host is to start the same domain, so that the lock is not kept when the guest is paused. The
  // daemon has heard of that when it has answered what was asked in the same moment.
  const value = encodeRecord({ ...ELSEWHERE, uuid: guest.owner.uuid });
  const success = [DISK, OTHER].map((key) => ({ op: "put", key: KEYS.want(session, key), value }) as const);
  const transaction = { compare: [], success, failure: [] };
  etcd.apply({ kind: "transaction", transaction }, performance.now());
  await until("both to be heard of", () => etcd.get(KEYS.want(session, OTHER)) === undefined);
  assert.notEqual(etcd.get(KEYS.want(session, DISK)), undefined);
  a.links.unheard = () => holderOf(etcd, "disk") === undefined;
  const released = guest.release("disk");
  await until("etcd to have done it", () => holderOf(etcd, "disk") === undefined);
  etcd.put(KEYS.session(SESSION), encodeRecord({ host: "b", name: "b", boot: "boot", nonce: "last" }));
  etcd.put(DISK, encodeRecord({ ...ELSEWHERE, uuid: crypto.randomUUID() }));
  a.links.silent = true;
  await a.manager.crash();
  const resumed = guest.acquire("disk");
  await beside.roundTrip();
  // As long as etcd does not answer nobody knows that it has done it.
  a.links.silent = false;
  a.links.unheard = () => false;
  a.links.kill();
  assert.equal(await released, "released");
  assert.match(await resumed, /is locked by domain 'elsewhere' .* on host 'b'/);
  assert.equal(holderOf(etcd, "disk"), ELSEWHERE.pid);
});

Deno.test("nor does one that shares it, when the daemon is executed anew in releasing it", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startManaged(etcd, "a");
  await using b = await PlayedHost.startManaged(etcd, "b");
  await using guest = await PlayedGuest.start(a);
  await using beside = await PlayedGuest.start(a);
  await using target = await PlayedGuest.start(b, guest.owner);
  const released = () => !keysOf(etcd).some((key) => key.startsWith("share/"));
  assert.equal(await guest.acquire("disk", SHARED), "granted");
  let looked = 0;
  a.links.unheard = () => {
    if (etcd.keys("").some((key) => key.includes("/want/"))) looked++;
    return released();
  };
  const granted = target.acquire("disk");
  await until("the host to look who asks", () => looked > 1);
  await beside.roundTrip();
  const asked = guest.release("disk");
  await until("etcd to have done it", released);
  a.links.silent = true;
  a.configure({ scsi: a.spaces.scsi }, "storage_timeout = 1");
  await a.manager.reExec();
  assert.match(await asked, /etcd does not answer|until slow storage has released it/);
  assert.equal(await granted, "granted");
  assert.match(await guest.acquire("disk", SHARED), /is locked/);
  a.links.silent = false;
  a.links.unheard = () => false;
  a.links.kill();
  const refused = new RegExp(`is locked by domain '.*' .*pid ${target.pid}\\).* on host '`);
  await until("who has it to be known", async () => refused.test(await guest.acquire("disk", SHARED)));
  assert.equal(holderOf(etcd, "disk"), target.pid);
});

Deno.test("what was being handed over when the daemon was killed goes in etcd too, by each name of its directory", async () => {
  const etcd = openedCluster("scsi");
  await using a = await PlayedHost.startManaged(etcd, "a");
  await using guest = await PlayedGuest.start(a);
  const link = `${a.spaces.scsi}-by-another-name`;
  Deno.symlinkSync(a.spaces.scsi, link);
  await using libvirtd = await LockClient.connect(a.socket);
  await libvirtd.register(guest.owner);
  await libvirtd.createLockspace(link);
  await libvirtd.acquire(link, "disk", 2);
  await libvirtd.release(link, "disk");
  assert.equal(holderOf(etcd, "disk"), guest.pid);
  await using other = await PlayedGuest.start(a);
  await using others = await LockClient.connect(a.socket);
  await others.register(other.owner);
  await using admin = await AdminClient.connect(a.place.paths.adminSocket);
  // A guest of the same host asks for it; the release does not get to etcd. Who asks is refused when etcd has
  // been silent for some seconds.
  a.links.silent = true;
  const asked = others.acquire(link, "disk", 2);
  await guest.roundTrip();
  const { json } = await admin.page(StatusProcedure.LIST_LOCKS);
  const locks: { resource: string; state: string }[] = JSON.parse(json);
  assert.deepEqual(locks.map(({ resource, state }) => `${resource} ${state}`), ["disk releasing"]);
  await a.manager.crash();
  a.links.silent = false;
  a.links.kill();
  await asked;
  assert.equal(holderOf(etcd, "disk"), other.pid);
});
