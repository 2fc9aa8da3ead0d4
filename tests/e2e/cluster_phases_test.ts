import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost, PATIENT } from "../support/cluster_host.ts";
import { Daemon } from "../support/daemon.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { reExec } from "../support/re_exec.ts";
import { refusal, untilGranted } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

// A cluster that is made on hosts with running guests, one whose etcd was restored or emptied, and one that a
// host leaves, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** So long a command waits for the hosts of a cluster that is closed, however busy this machine. */
const LONG = ["--wait", "300"];

/** Keys of locks, and the session of each. */
async function locksOf(etcd: Etcd): Promise<string[]> {
  const keys = [...(await etcd.keys("/virtlockd/test/lock/")).keys()];
  return keys.map((key) => key.slice("/virtlockd/test/lock/scsi/".length));
}

/** What a host shows of its locks: name, state, for whom they count, and the process of the first holder. */
async function shownLocks({ place }: ClusterHost, socket: string): Promise<(string | undefined)[][]> {
  const { stdout } = await Daemon.run({ args: ["locks", "--json", "--connect", socket], place });
  const locks: { resource: string; state: string; hosts?: string; holders: { process?: string }[] }[] = JSON
    .parse(stdout);
  return locks.map(({ resource, state, hosts, holders: [holder] }) => [
    resource,
    state,
    hosts,
    holder?.process,
  ]);
}

Deno.test("a cluster is made on hosts with running guests: what both have is in doubt, and nothing new is locked before", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { cluster: "new" });
  await using b = await ClusterHost.create(etcd, "b", { cluster: "new" });
  await a.startAlone();
  await b.startAlone();
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await onA.acquire(a.space, "both", AUTOCREATE);
  await onA.acquire(a.space, "first", AUTOCREATE);
  await onB.acquire(b.space, "both", AUTOCREATE);
  await onB.acquire(b.space, "second", AUTOCREATE);
  a.configure();
  await reExec(a.daemon);
  await a.daemon.log.match(/the cluster is not open yet, nobody has said which hosts it has/);
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.space, "second", AUTOCREATE)),
    /the cluster is not open yet, .*'virtlockd cluster open --expect HOST,\.\.\.' names every host that uses its disks/,
  );
  const early = await a.command("open", "--expect", "a,b", "--wait", "1");
  assert.match(early.stderr, /The cluster is not open yet: it waits for b\. It opens by itself/);
  assert.deepEqual([early.code, early.stdout], [1, ""]);
  b.configure();
  await reExec(b.daemon);
  await b.daemon.log.match(/'both' .* is not granted by the cluster: another host of the cluster holds it/);
  const opened = await b.command("open", "--expect", "a,b", ...LONG);
  assert.deepEqual([opened.code, opened.stdout, opened.stderr], [0, "The cluster is open.\n", ""]);
  const again = await b.command("open", "--json", "--expect", "a,b");
  assert.deepEqual([again.code, JSON.parse(again.stdout)], [0, { name: "test", expect: ["a", "b"] }]);
  const more = await b.command("open", "--expect", "a,b,c");
  assert.match(
    more.stderr,
    /The cluster is open, but no member is called c: virtlockd cluster hosts lists them/,
  );
  assert.deepEqual([more.code, more.stdout], [1, ""]);
  assert.deepEqual(await locksOf(etcd), ["both", "first", "second"]);
  const answer = await until("host a to lock again", async () => {
    const text = await refusal(next.acquire(a.space, "second", AUTOCREATE));
    return text.includes("is not open yet") ? undefined : text;
  });
  assert.match(answer, new RegExp(`'second' is locked by domain '${onB.owner.name}'`));
  await next.acquire(a.space, "third", AUTOCREATE);
});

Deno.test("a new cluster is not opened without a host that has joined it and that nobody has named", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { cluster: "new" });
  await using b = await ClusterHost.create(etcd, "b", { cluster: "new" });
  for (const host of [a, b]) {
    await host.startAlone();
    host.configure();
    await reExec(host.daemon);
    await host.daemon.log.match(/the cluster is not open yet, nobody has said which hosts it has/);
  }
  const unnamed = await a.command("open", "--expect", "a", ...LONG);
  assert.match(
    unnamed.stderr,
    /\(id b\): of the cluster, and not named\. Name every host with --expect\. One that is off/,
  );
  assert.deepEqual([unnamed.code, unnamed.stdout], [1, ""]);
  const opened = await a.command("open", "--expect", "a,b", ...LONG);
  assert.deepEqual([opened.code, opened.stdout, opened.stderr], [0, "The cluster is open.\n", ""]);
});

Deno.test("a lock that another host has is had again, and certain, when that host's guest has been shut down", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.create(etcd, "b");
  await b.startAlone();
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await onA.acquire(a.space, "both", AUTOCREATE);
  await onB.acquire(b.space, "both", AUTOCREATE);
  b.configure();
  await reExec(b.daemon);
  await b.daemon.log.match(/'both' .* is not granted by the cluster: another host of the cluster holds it/);
  const locks = async (): Promise<{ state: string; hosts: string }[]> => {
    const args = ["locks", "--json", "--connect", b.daemon.adminSocket];
    return JSON.parse((await Daemon.run({ args, place: b.place })).stdout);
  };
  assert.deepEqual((await locks()).map(({ state, hosts }) => [state, hosts]), [["doubtful", "pending"]]);
  await onA.kill();
  await b.daemon.log.match(/'both' .* is granted by the cluster again/);
  assert.deepEqual((await locks()).map(({ state, hosts }) => [state, hosts]), [["held", "cluster"]]);
  await using other = await Holder.start(a.daemon);
  assert.match(
    await refusal(other.acquire(a.space, "both", AUTOCREATE)),
    new RegExp(`'both' is locked by domain '${onB.owner.name}'`),
  );
});

Deno.test("an etcd that was restored is noticed: nothing is locked before every host has put in again what it has", async () => {
  await using etcd = await Etcd.start();
  const settings = `${PATIENT}\nsettle_timeout = 1`;
  await using a = await ClusterHost.create(etcd, "a", { settings });
  await using b = await ClusterHost.create(etcd, "b", { settings });
  await a.startDaemon();
  await b.startDaemon();
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await onA.acquire(a.space, "moved", AUTOCREATE);
  await onA.acquire(a.space, "kept", AUTOCREATE);
  const backup = await etcd.save();
  await onA.kill();
  await until("its locks to go", async () => (await locksOf(etcd)).length === 0);
  await onB.acquire(b.space, "moved", AUTOCREATE);
  await onB.acquire(b.space, "new", AUTOCREATE);
  await etcd.restore(backup);
  for (const host of [a, b]) await host.daemon.log.match(/the cluster is being recovered/);
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.space, "new", AUTOCREATE)),
    /the cluster is being recovered, .*'virtlockd cluster recover --expect HOST,\.\.\.'.*\(etcd at http:\S+ has gone back from revision/,
  );
  const recovered = await b.command("recover", "--expect", "a,b", ...LONG);
  assert.deepEqual([recovered.code, recovered.stdout, recovered.stderr], [
    0,
    "The cluster is open again.\n",
    "",
  ]);
  assert.deepEqual(await locksOf(etcd), ["moved", "new"]);
  assert.doesNotMatch(b.daemon.log.text, /is not granted by the cluster/);
  const answer = await until("host a to lock again", async () => {
    const text = await refusal(next.acquire(a.space, "new", AUTOCREATE));
    return text.includes("being recovered") ? undefined : text;
  });
  assert.match(answer, new RegExp(`'new' is locked by domain '${onB.owner.name}'`));
  assert.match(
    await refusal(next.acquire(a.space, "moved", AUTOCREATE)),
    new RegExp(`'moved' is locked by domain '${onB.owner.name}'`),
  );
});

Deno.test("a host that is left out when an emptied etcd is recovered puts nothing back, and ends what others have", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.create(etcd, "b", {
    settings: `${PATIENT}\nsettle_timeout = 1\ncluster_on_lost = "kill"`,
  });
  await using manager = await b.startManaged();
  const { adminSocket } = b.place.paths;
  const onThis = { place: b.place, socket: manager.socket };
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(onThis);
  await using spared = await Holder.start(onThis);
  await onA.acquire(a.space, "of-a", AUTOCREATE);
  await onB.acquire(b.space, "of-b", AUTOCREATE);
  await spared.acquire(b.space, "free", AUTOCREATE);
  Deno.kill(manager.pid, "SIGSTOP");
  await etcd.control("del", "--prefix", "/virtlockd/");
  await a.daemon.log.match(/the cluster is being recovered/);
  // etcd has lost it: nobody but who says so knows that there is such a host.
  const lost = await a.command("recover", "--expect", "a", "--without", "b", "--yes");
  assert.match(lost.stderr, /etcd knows no host that is called b: .* etcd has lost that host, say --dead/);
  assert.deepEqual([lost.code, lost.stdout], [1, ""]);
  const without = ["--expect", "a", "--without", "b", "--dead"];
  const asked = await a.command("recover", ...without);
  assert.match(asked.stderr, /Without a terminal to ask at, "--yes" is needed/);
  assert.deepEqual([asked.code, asked.stdout], [1, ""]);
  const recovered = await a.command("recover", "--json", ...without, "--yes", ...LONG);
  assert.deepEqual([recovered.code, JSON.parse(recovered.stdout), recovered.stderr], [
    0,
    { name: "test", expect: ["a"], without: ["b"] },
    "virtlockd: warning: etcd knows nothing of b, so nothing is freed of it. Compare with that host's name, and with " +
    "its cluster_host_id: under a wrong name the host that is meant is not left out, and puts in what it has when it " +
    "comes back\n",
  ]);
  Deno.kill(manager.pid, "SIGCONT");
  await until("host b to know what was said of it", async () => {
    const shown = await shownLocks(b, adminSocket);
    return shown.length === 2 &&
      shown.every(([, state, hosts]) => state === "doubtful" && hosts === "pending");
  });
  assert.deepEqual(await locksOf(etcd), ["of-a"]);
  await using next = await Holder.start(onThis);
  assert.match(
    await refusal(next.acquire(b.space, "other", AUTOCREATE)),
    /etcd was recovered without this host/,
  );
  // It knows it in its next life too, and its guests run on until another host has their disk.
  await manager.crash();
  assert.deepEqual((await shownLocks(b, adminSocket)).map(([name, state]) => [name, state]), [
    ["free", "doubtful"],
    ["of-b", "doubtful"],
  ]);
  assert.deepEqual([onB.running, spared.running], [true, true]);
  await using rival = await Holder.start(a.daemon);
  await rival.acquire(a.space, "of-b", AUTOCREATE);
  assert.equal(await onB.endedBy(), "SIGKILL");
  assert.match(
    manager.log,
    /'of-b' .* another host of the cluster holds it, which this one has lost when it was/,
  );
  await until("its lock to go", async () => (await shownLocks(b, adminSocket)).length === 1);
  assert.deepEqual([spared.running, rival.running], [true, true]);
  assert.deepEqual(await locksOf(etcd), ["of-a", "of-b"]);
});

Deno.test("a cluster is not recovered without a host that lives, nor without one that nobody has named", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using onB = await Holder.start(b.daemon);
  await onB.acquire(b.space, "of-b", AUTOCREATE);
  const refused = async (...words: readonly string[]) => {
    const { code, stdout, stderr } = await a.command("recover", ...words, "--yes", ...LONG);
    assert.deepEqual([code, stdout], [1, ""]);
    return stderr;
  };
  const states = async () => {
    const hosts: { host: string; state: string }[] = JSON.parse((await a.command("hosts", "--json")).stdout);
    return new Map(hosts.map(({ host, state }) => [host, state]));
  };
  const without = ["--expect", "a", "--without", "b"];
  assert.match(await refused(...without), /without host '.*': it lives, for it was heard of in etcd/);
  assert.match(await refused("--expect", "a"), /\(id b\): of the cluster, and not named\. Name every host/);
  assert.match(
    await refused("--expect", "a,b", "--without", "kvm9"),
    /etcd knows no host that is called kvm9/,
  );
  assert.deepEqual(await states(), new Map([["a", "live"], ["b", "live"]]));
  // It looks dead when its lease has gone; its daemon lives, and objects.
  b.daemon.signal("SIGSTOP");
  await etcd.control("del", "/virtlockd/test/host/b");
  const said = refused(...without);
  // It has ten seconds to object, which commands take a part of.
  await until("it to be condemned", async () => {
    return [...(await etcd.keys("/virtlockd/test/session/")).values()].some((each) =>
      each.includes('"condemned"')
    );
  });
  b.daemon.signal("SIGCONT");
  assert.match(await said, /it lives, for its session in etcd was written anew/);
  const meta = (await etcd.keys("/virtlockd/test/meta")).get("/virtlockd/test/meta") ?? "";
  const { phase }: { phase: string } = JSON.parse(meta);
  assert.deepEqual([phase, await locksOf(etcd)], ["open", ["of-b"]]);
  await onB.kill();
  await until("its lock to go", async () => (await locksOf(etcd)).length === 0);
  await using last = await Holder.start(b.daemon);
  await last.acquire(b.space, "last", AUTOCREATE);
  await b.daemon.kill();
  b.killLinks();
  await last.kill();
  await until("b not to be heard of", async () => (await etcd.keys("/virtlockd/test/host/")).size === 1);
  const recovered = await a.command("recover", ...without, "--yes", ...LONG);
  assert.deepEqual([recovered.code, recovered.stdout, recovered.stderr], [
    0,
    "The cluster is open again.\n",
    "",
  ]);
  assert.deepEqual(await states(), new Map([["a", "live"], ["b", "fenced"]]));
  assert.deepEqual(await locksOf(etcd), []);
});

Deno.test("a host leaves when it has no lock of the cluster's, and is not local before its settings say so", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  // Its settings go first: it locks nothing new, and gives back what it has.
  await using other = await Holder.start(a.daemon);
  await other.acquire(a.space, "other", AUTOCREATE);
  a.place.writeConfig("storage_timeout = 3\n");
  await reExec(a.daemon);
  await other.kill();
  await until("its lock to go from etcd", async () => (await locksOf(etcd)).join() === "disk");
  const refused = await b.command("leave", "a");
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(
    refused.stderr,
    new RegExp(
      `Host '.*' has not left: it has 1 lock of '${guest.owner.name}'\\. Shut guests with locks down or move them`,
    ),
  );
  await using next = await Holder.start(a.daemon);
  assert.match(
    await refusal(next.acquire(a.space, "new", AUTOCREATE)),
    /virtlockd\.conf names no cluster_endpoints/,
  );
  await guest.kill();
  await until("the last lock to go", async () => (await locksOf(etcd)).length === 0);
  const left = await b.command("leave", "a");
  assert.deepEqual([left.code, left.stderr], [0, ""]);
  assert.match(
    left.stdout,
    /^Host '.*' has left the cluster\. Take the cluster_ keys out of its virtlockd\.conf/,
  );
  await a.daemon.log.match(/This host is no member of its cluster any more.*it has left the cluster/);
  assert.match(
    await refusal(next.acquire(a.space, "new", AUTOCREATE)),
    /this host is no member of its cluster any more: it has left the cluster/,
  );
  await reExec(a.daemon);
  await next.acquire(a.space, "new", AUTOCREATE);
  assert.deepEqual(await locksOf(etcd), []);
  const hosts = await b.command("hosts", "--json");
  const listed: { host: string; state: string }[] = JSON.parse(hosts.stdout);
  assert.deepEqual(listed.map(({ host, state }) => [host, state]), [["a", "left"], ["b", "live"]]);
});

Deno.test("a directory of the cluster's stays that, however it is written and whatever the settings say later", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "./disk", AUTOCREATE);
  assert.deepEqual(await locksOf(etcd), ["disk"]);
  a.configure(a.place.makeDirectory("elsewhere"));
  await reExec(a.daemon);
  await using next = await Holder.start(a.daemon);
  const said = await refusal(next.acquire(a.space, "new", AUTOCREATE));
  assert.match(
    said,
    new RegExp(`'scsi=${a.space}' in cluster_lockspaces is the cluster's since this host joined it`),
  );
  assert.match(said, /virtlockd cluster leave HOST/);
  assert.deepEqual(await locksOf(etcd), ["disk"]);
  a.configure();
  await reExec(a.daemon);
  await a.daemon.log.match(/This host is a member of its cluster/);
  await until("host a to lock again", async () => {
    const answer = await next.acquire(a.space, "new", AUTOCREATE).then(() => true, () => false);
    return answer;
  });
  assert.deepEqual(await locksOf(etcd), ["disk", "new"]);
});

Deno.test("a directory that the settings name besides is not locked for one host alone where they cannot be used", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  const besides = a.place.makeDirectory("besides");
  const endpoints = `cluster_endpoints = [${etcd.urls.map((url) => `"${url}"`).join(", ")}]`;
  const both = `cluster_lockspaces = ["scsi=${a.space}", "lvm=${besides}"]`;
  const unusable: Readonly<Record<string, RegExp>> = {
    [`${endpoints}\ncluster_name = "other"\n${both}`]: /and cluster_name is other/,
    [`${endpoints}\ncluster_name = "test"\ncluster_lockspaces = ["lvm=${besides}"]`]:
      /'scsi=.*' in cluster_lockspaces is the cluster's since this host joined it/,
    [`cluster_name = "test"\n${both}`]: /virtlockd\.conf names no cluster_endpoints/,
  };
  await using libvirtd = await LockClient.connect(a.daemon.socket);
  await libvirtd.register(testOwner(1));
  await libvirtd.createLockspace(besides);
  for (const [settings, reason] of Object.entries(unusable)) {
    a.place.writeConfig(`storage_timeout = 3\n${settings}\n`);
    await reExec(a.daemon);
    await using guest = await Holder.start(a.daemon);
    assert.match(await refusal(guest.acquire(besides, "disk", AUTOCREATE)), reason);
    assert.match(await refusal(guest.acquire(a.space, "disk", AUTOCREATE)), reason);
  }
});

Deno.test("a host that was made to leave while its daemon did not run does not come back without its settings", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  a.place.writeConfig("storage_timeout = 3\n");
  await a.daemon.kill();
  const left = await b.command("leave", "a");
  assert.deepEqual([left.code, left.stderr], [0, ""]);
  await using daemon = await Daemon.start({ place: a.place });
  await daemon.log.match(/This host is no member of its cluster any more.*it has left the cluster/);
  await using libvirtd = await LockClient.connect(daemon.socket);
  await libvirtd.register(testOwner(1));
  await libvirtd.createLockspace(a.space);
  await using guest = await Holder.start(daemon);
  assert.match(
    await refusal(guest.acquire(a.space, "disk", AUTOCREATE)),
    /this host is no member of its cluster any more: it has left the cluster/,
  );
  await reExec(daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const hosts: { host: string; state: string }[] = JSON.parse((await b.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ host, state }) => [host, state]), [["a", "left"], ["b", "live"]]);
  assert.deepEqual(await locksOf(etcd), []);
});

Deno.test("a directory of the cluster's has the same locks by its other names on a host", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  const alias = `${a.place.directory}/alias`;
  Deno.symlinkSync(a.space, alias);
  await using manager = await a.startManaged();
  await using libvirtd = await LockClient.connect(manager.socket);
  await libvirtd.register(testOwner(1));
  await libvirtd.createLockspace(alias);
  const onA = { place: a.place, socket: manager.socket };
  await using guest = await Holder.start(onA);
  await guest.acquire(alias, "disk", AUTOCREATE);
  assert.deepEqual(await locksOf(etcd), ["disk"]);
  await using rival = await Holder.start(b.daemon);
  const held = new RegExp(`pid ${guest.pid}\\)`);
  assert.match(await refusal(rival.acquire(b.space, "disk", AUTOCREATE)), held);
  // The next daemon has only the path.
  await manager.crash();
  await using late = await Holder.start(onA);
  await untilGranted(() => late.acquire(alias, "late", AUTOCREATE));
  assert.deepEqual(await locksOf(etcd), ["disk", "late"]);
  assert.match(await refusal(rival.acquire(b.space, "disk", AUTOCREATE)), held);
  await rival.acquire(b.space, "other", AUTOCREATE);
  assert.match(await refusal(late.acquire(alias, "other", AUTOCREATE)), new RegExp(`pid ${rival.pid}\\)`));
  await guest.kill();
  await late.kill();
  await until("their locks to go", async () => (await locksOf(etcd)).join() === "other");
});

Deno.test("a directory with two of the cluster's names makes the host no member", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  const alias = `${a.place.directory}/alias`;
  Deno.symlinkSync(a.space, alias);
  a.configure(`${a.space}", "lvm=${alias}`);
  await reExec(a.daemon);
  await using guest = await Holder.start(a.daemon);
  assert.match(
    await refusal(guest.acquire(a.space, "disk", AUTOCREATE)),
    /'scsi=.*' and 'lvm=.*alias' in cluster_lockspaces are one directory/,
  );
});

Deno.test("a host that is made to leave with running guests gives their locks up, and stops those whose disk another one gets", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", {
    settings: `${PATIENT}\ncluster_on_lost = "pause"`,
  });
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const hosts = await b.command("hosts", "--json");
  const listed: { host: string; name: string; session: string }[] = JSON.parse(hosts.stdout);
  const [{ name, session } = { name: "", session: "" }] = listed.filter(({ host }) => host === "a");
  const left = await b.command("leave", "a", "--json", "--force");
  assert.deepEqual([left.code, JSON.parse(left.stdout), left.stderr], [
    0,
    { host: "a", name, sessions: [session], givenUp: 1, guests: [guest.owner.name], overtaken: [] },
    "",
  ]);
  const again = await b.command("leave", "a", "--json");
  assert.deepEqual([again.code, JSON.parse(again.stdout)], [0, {
    host: "a",
    name,
    sessions: [],
    givenUp: 0,
    guests: [],
    overtaken: [],
  }]);
  assert.deepEqual(await locksOf(etcd), []);
  await a.daemon.log.match(
    /'disk' .* is not granted by the cluster: this host has left the cluster, and has given it up/,
  );
  const { adminSocket } = a.daemon;
  assert.deepEqual(await shownLocks(a, adminSocket), [["disk", "doubtful", "pending", undefined]]);
  const doctor = await a.daemon.command("doctor");
  assert.match(
    doctor.stdout,
    new RegExp(`The lock on .*/disk of '${guest.owner.name}' is doubtful: this host has left the cluster`),
  );
  await using next = await Holder.start(b.daemon);
  await next.acquire(b.space, "disk", AUTOCREATE);
  await a.daemon.log.match(
    /'disk' .* another host of the cluster holds it, which this one has lost when it was/,
  );
  // The kernel stops it when it comes to run next.
  await until("the guest to stand still", async () => {
    return isDeepStrictEqual(await shownLocks(a, adminSocket), [["disk", "doubtful", "pending", "stopped"]]);
  });
  assert.match((await a.daemon.command("metrics")).stdout, /^virtlockd_cluster_locks_lost 1$/m);
  // With the settings it comes back at its next start, and is told that another one has it by now.
  await reExec(a.daemon);
  await a.daemon.log.match(/'disk' .* is not granted by the cluster: another host of the cluster holds it/);
});

Deno.test("a guest that is started with its host waits until etcd, which is started too, has made it a member", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  await using b = await ClusterHost.create(etcd, "b");
  etcd.stop();
  await using daemonA = await Daemon.start({ place: a.place });
  await using daemonB = await Daemon.start({ place: b.place });
  for (const [daemon, { space }] of [[daemonA, a], [daemonB, b]] as const) {
    await using libvirtd = await LockClient.connect(daemon.socket);
    await libvirtd.register(testOwner(1));
    await libvirtd.createLockspace(space);
  }
  await using onA = await Holder.start(daemonA);
  await using onB = await Holder.start(daemonB);
  const asked = [onA.acquire(a.space, "of-a", AUTOCREATE), onB.acquire(b.space, "of-b", AUTOCREATE)];
  // Longer than etcd may be silent before new locks are refused at once.
  await daemonA.log.match(/The cluster cannot be used/);
  await daemonB.log.match(/The cluster cannot be used/);
  etcd.resume();
  await Promise.all(asked);
  assert.deepEqual(await locksOf(etcd), ["of-a", "of-b"]);
});
