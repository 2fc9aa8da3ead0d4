import assert from "node:assert/strict";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { reExec } from "../support/re_exec.ts";
import { Holder } from "../support/holder.ts";
import { until } from "../support/until.ts";
import { installMissing } from "./support/debian_packages.ts";

// `virtlockd cluster join`: a host that joins by it, and what it says where it cannot, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
const COPIED =
  "This host is no member of cluster test: somebody else writes this host's session: a copy of this host " +
  "is running\n-> Nothing of the cluster's is locked here, nor by the next daemon. If this one is the copy, end it. " +
  "Else end the other one, with its guests, and only then: 'virtlockd cluster join --copy-ended'\n";
/** Of a join that has to succeed: on a busy machine the usual 15 s may be over before. */
const PATIENT = ["--wait", "60"] as const;
/** How long a daemon does not hear of what was done in etcd, in ms: it bears 4 s without an answer. */
const UNHEARD_MS = 2000;

Deno.test("join takes a host's settings, and prints the command that opens the cluster, with the hosts that have come", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { cluster: "new" });
  await using b = await ClusterHost.create(etcd, "b", { cluster: "new" });
  const nobody = await a.command("join");
  assert.deepEqual([nobody.code, nobody.stderr], [1, ""]);
  assert.match(
    nobody.stdout,
    /^No daemon is running: .*\n-> Only the daemon of a host joins, and root has to ask it: /,
  );
  await a.startAlone();
  await b.startAlone();
  const none = await a.command("join");
  assert.deepEqual([none.code, none.stderr], [1, ""]);
  assert.match(none.stdout, /^This host is in no cluster: .*\n-> Set cluster_endpoints, cluster_name, /);
  a.configure();
  b.configure();
  // On a busy machine a host may not be there when it is not waited for any longer.
  await until("host a to have come", async () => {
    const first = await a.command("join");
    assert.deepEqual([first.code, first.stderr], [1, ""]);
    return first.stdout.startsWith(
      "Nothing new is locked in cluster test: the cluster is not open yet, nobody has said ",
    );
  });
  await b.command("join");
  // Two hosts of one name, as here on one machine, are told apart by their ids.
  const line = await until("host b to have come", async () => {
    const { stdout } = await a.command("join");
    return /; known so far: virtlockd cluster (open --expect a,b)\n$/.exec(stdout)?.[1];
  });
  const opened = await b.command(...line.split(" "), "--wait", "300");
  assert.deepEqual([opened.code, opened.stdout], [0, "The cluster is open.\n"]);
  for (const host of [a, b]) {
    const member = await host.command("join", "--json", ...PATIENT);
    assert.deepEqual([member.code, member.stderr], [0, ""]);
    const { state, cluster, host: id, advice } = JSON.parse(member.stdout);
    assert.deepEqual([state, cluster, id, advice], ["live", "test", host.name, undefined]);
  }
});

Deno.test("join is the one step back for a host that has left", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  const left = await b.command("leave", "a");
  assert.deepEqual([left.code, left.stderr], [0, ""]);
  await a.daemon.log.match(
    /This host is no member of its cluster any more.*'virtlockd cluster join' brings it back/,
  );
  const back = await a.command("join", ...PATIENT);
  assert.deepEqual([back.code, back.stderr], [0, ""]);
  assert.match(back.stdout, /^This host is a member of cluster test \(session [^)]+\)\.\n$/);
  const hosts: { host: string; state: string }[] = JSON.parse((await b.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ host, state }) => [host, state]), [["a", "live"], ["a", "left"], [
    "b",
    "live",
  ]]);
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const locks: { name: string; host: string }[] = JSON.parse((await b.command("locks", "--json")).stdout);
  assert.deepEqual(locks.map(({ name }) => name), ["disk"]);
});

Deno.test("a host that was made to leave a moment ago is no member to join: it waits until the daemon has heard", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  const [before] = JSON.parse((await a.command("hosts", "--json")).stdout) as { session: string }[];
  // What the daemon asks stays without an answer; commands have links of their own.
  a.signalLinks("SIGSTOP");
  const left = await a.command("leave", "a");
  assert.deepEqual([left.code, left.stderr], [0, ""]);
  const joining = a.command("join", "--json", ...PATIENT);
  // One that asks nobody but the daemon has ended by then.
  await Promise.race([joining, new Promise((passed) => setTimeout(passed, UNHEARD_MS))]);
  a.signalLinks("SIGCONT");
  const back = await joining;
  assert.deepEqual([back.code, back.stderr], [0, ""]);
  const { session } = JSON.parse(back.stdout);
  assert.notEqual(session, before?.session);
  const hosts: { session: string; state: string }[] = JSON.parse((await a.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ session, state }) => [session, state]), [[session, "live"], [
    before?.session,
    "left",
  ]]);
});

Deno.test("a host whose session its copy has taken stays out when it is reloaded, until a person says that the copy is ended", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const keys = new ClusterKeys("test");
  const [{ session } = assert.fail()] = JSON.parse((await a.command("hosts", "--json")).stdout) as {
    session: string;
  }[];
  const record = (await etcd.keys()).get(keys.session(session)) ?? "";
  await etcd.putBytes(
    keys.session(session),
    new TextEncoder().encode(JSON.stringify({ ...JSON.parse(record), nonce: "of the copy" })),
  );
  await a.daemon.log.match(/somebody else writes this host's session: a copy of this host is running/);
  const lost = await a.command("join");
  assert.deepEqual([lost.code, lost.stdout], [1, COPIED]);
  await reExec(a.daemon);
  const again = await a.command("join");
  assert.deepEqual([again.code, again.stdout], [1, COPIED]);
  await assert.rejects(
    guest.acquire(a.space, "other", AUTOCREATE),
    /is no member of cluster test|a copy of this host/,
  );
  const [, line = ""] = /'virtlockd cluster (join .*)'/.exec(COPIED) ?? [];
  const back = await a.command(...line.split(" "), ...PATIENT);
  assert.deepEqual([back.code, back.stderr], [0, ""]);
  assert.equal(back.stdout, `This host is a member of cluster test (session ${session}).\n`);
  await guest.acquire(a.space, "other", AUTOCREATE);
  const locks: { name: string }[] = JSON.parse((await a.command("locks", "--json")).stdout);
  assert.deepEqual(locks.map(({ name }) => name), ["disk", "other"]);
});

Deno.test("leave names the guests whose locks it gives up, and what is over of a host is removed", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  const { name } = guest.owner;
  const refused = await a.command("leave", "a");
  assert.equal(refused.code, 1);
  assert.match(
    refused.stderr,
    new RegExp(`has not left: it has 1 lock of '${name}'\\. Shut guests with locks down `),
  );
  const [before] = JSON.parse((await a.command("hosts", "--json")).stdout) as { session: string }[];
  const left = await a.command("leave", "a", "--force");
  assert.equal(left.code, 0);
  assert.match(
    left.stdout,
    new RegExp(
      `, and has given up 1 lock of '${name}'\\. Other hosts may have these disks now: shut those guests down\\. `,
    ),
  );
  assert.equal((await a.command("join", ...PATIENT)).code, 0);
  const standing = await a.command("remove", "a");
  assert.equal(standing.code, 1);
  const [, line = ""] = /What is over of it goes with: virtlockd cluster (.*)\n/.exec(standing.stderr) ??
    assert.fail(standing.stderr);
  assert.equal(line, `remove ${before?.session}`);
  assert.equal((await a.command(...line.split(" "))).code, 0);
  const hosts: { state: string }[] = JSON.parse((await a.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ state }) => state), ["live"]);
});

Deno.test("a cluster whose name is mistyped is not taken for one without locks", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  assert.equal((await a.command("locks")).stdout, "No locks.\n");
  await using elsewhere = await ClusterHost.create(etcd, "b", { cluster: "new" });
  const { config } = elsewhere.place.paths;
  Deno.writeTextFileSync(config, Deno.readTextFileSync(config).replace('"test"', '"tset"'));
  for (const what of ["locks", "hosts"]) {
    const told = await elsewhere.command(what);
    assert.deepEqual([told.code, told.stdout], [
      0,
      `No ${what}: no host has joined a cluster 'tset' in this etcd.\n`,
    ]);
  }
});
