import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Daemon } from "../support/daemon.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import type { Place } from "../support/place.ts";
import { Stranger } from "../support/stranger.ts";

// `virtlockd cluster ...` on hosts of a cluster and elsewhere, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** What every command says of the etcd of Debian 12. */
const ETCD = /http:\/\/localhost:\d+: version 3\.4\.23, UNSAFE: .* upgrade each member to 3\.4\.32, 3\.5\.14/;

/** ACQUIRE_RESOURCE's flags: shared, and the file is made on demand. */
const SHARED = 1;
const AUTOCREATE = 2;

Deno.test("a cluster is shown to a member without its daemon, and to a machine that is no member", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await using second = await Holder.start(b.daemon);
  await first.acquire(a.space, "disk 1", AUTOCREATE);
  await first.acquire(a.space, "common", AUTOCREATE | SHARED);
  await second.acquire(b.space, "common", AUTOCREATE | SHARED);
  await a.daemon.kill();
  const hosts = await a.command("hosts", "--json");
  const listed: { host: string; session: string; state: string }[] = JSON.parse(hosts.stdout);
  assert.deepEqual(listed.map(({ host }) => host), ["a", "b"]);
  const [sessionA = "", sessionB = ""] = listed.map(({ session }) => session);
  using elsewhere = Stranger.create();
  const seen = await elsewhere.command(etcd, "locks", "--json");
  assert.equal(seen.stderr, "");
  const locks: { space: string; name: string; mode: string; pid: number; session: string }[] = JSON.parse(
    seen.stdout,
  );
  const byHost = (session: string, guest: Holder) => ({
    space: "scsi",
    name: "common",
    mode: "shared",
    pid: guest.pid,
    session,
  });
  assert.deepEqual(
    new Set(locks.map(({ space, name, mode, pid, session }) => ({ space, name, mode, pid, session }))),
    new Set([
      byHost(sessionA, first),
      byHost(sessionB, second),
      { space: "scsi", name: "disk 1", mode: "exclusive", pid: first.pid, session: sessionA },
    ]),
  );
  const status = await elsewhere.command(etcd, "status");
  assert.match(status.stdout, /^lock directories: +scsi$/m);
  assert.match(status.stdout, ETCD);
  assert.match(status.stdout, /^locks: +3 locks$/m);
  const ofB = await elsewhere.command(etcd, "locks", "--json", "--host", "b");
  const shown: { session: string }[] = JSON.parse(ofB.stdout);
  assert.deepEqual(shown.map(({ session }) => session), [sessionB]);
});

Deno.test("a version of etcd with faults is called unsafe by the daemon, its status, its metrics and doctor", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await a.daemon.log.match(
    /The cluster's etcd is not to be relied upon: http:.*: version 3\.4\.23, UNSAFE: /,
  );
  const connect = ["--connect", a.daemon.adminSocket];
  const told = async (...args: string[]) =>
    (await Daemon.run({ args: [...args, ...connect], place: a.place })).stdout;
  assert.match(await told("status"), new RegExp(`^etcd: +${ETCD.source}`, "m"));
  const { sections }: { sections: { cluster: { etcd: unknown } } } = JSON.parse(
    await told("status", "--json"),
  );
  assert.deepEqual(sections.cluster.etcd, [{
    url: etcd.urls[0],
    version: "3.4.23",
    unsafe: "its revisions may decrease, and a delete may be lost",
  }]);
  assert.match(await told("metrics"), /^virtlockd_cluster_etcd_unsafe_members 1$/m);
  assert.match(
    await told("doctor"),
    new RegExp(`^PROBLEM  cluster: The etcd of cluster test .*${ETCD.source}`, "m"),
  );
});

Deno.test("locks says which of them count for all hosts, and which for this one alone", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  const image = `${a.place.directory}/image`;
  Deno.writeTextFileSync(image, "");
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await guest.acquire("", image);
  const told = async (...args: string[]) =>
    (await Daemon.run({ args: [...args, "--connect", a.daemon.adminSocket], place: a.place })).stdout;
  const locks: { path: string; hosts: string }[] = JSON.parse(await told("locks", "--json"));
  assert.deepEqual(locks.map(({ path, hosts }) => [path, hosts]), [[image, "local"], [
    `${a.space}/disk`,
    "cluster",
  ]]);
  assert.match(await told("locks"), /Z +local +held\n.*Z +cluster +held\n$/);
  assert.match(await told("status"), /^cluster: .* locks 1, local 1, lost 0, /m);
  assert.match(await told("metrics"), /^virtlockd_cluster_locks_local 1$/m);
});

Deno.test("a copy of a host on the same kernel is not admitted, and the host keeps its locks", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await using copy = await ClusterHost.create(etcd, "a");
  await using daemon = await Daemon.start({ place: copy.place });
  await daemon.log.match(
    /The cluster cannot be used: another one that calls itself a \('.*'\) was heard of within 10 s/,
  );
  const told = async ({ place }: { place: Place }, ...args: string[]) =>
    (await Daemon.run({ args: [...args, "--connect", place.paths.adminSocket], place })).stdout;
  const state = async (host: ClusterHost) => {
    const { sections: { cluster } } = JSON.parse(await told(host, "status", "--json"));
    return [cluster.state, cluster.locks];
  };
  assert.deepEqual([await state(a), await state(copy)], [["live", 1], ["joining", 0]]);
  assert.match(
    await told(copy, "doctor"),
    /^PROBLEM +cluster: This host is not a member of cluster test yet: another one that calls itself a .* cluster_host_id/m,
  );
  await guest.acquire(a.space, "another", AUTOCREATE);
  const hosts: { host: string; state: string }[] = JSON.parse((await a.command("hosts", "--json")).stdout);
  assert.deepEqual(hosts.map(({ host, state }) => [host, state]), [["a", "live"]]);
});

Deno.test("while etcd is away, or there is no cluster, a command says so and ends", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a");
  etcd.stop();
  const away = await a.command("hosts");
  assert.match(away.stderr, /^virtlockd: error: etcd does not answer: .*\n$/);
  assert.equal(away.code, 2);
  etcd.resume();
  using elsewhere = Stranger.create();
  const none = await elsewhere.run("hosts");
  assert.match(none.stderr, /virtlockd.conf names no cluster: set cluster_endpoints there, or name one with/);
  assert.equal(none.code, 1);
  const unlinked = ["--endpoints", "http://localhost:1", "--link", "/nowhere/link"];
  const missing = await elsewhere.run("hosts", ...unlinked);
  assert.match(
    missing.stderr,
    /stat \/nowhere\/link: No such file or directory \(ENOENT\): install deno-virtlockd-cluster, or name another place with --link/,
  );
  assert.equal(missing.code, 2);
});

Deno.test("what is wrong with a command line about a cluster is told in one line", async () => {
  using elsewhere = Stranger.create();
  for (
    const [args, expected] of [
      [[], "Say what to do: status, hosts, locks"],
      [["hosst"], "Say what to do: status, hosts, locks, "],
      [
        ["hosts", "--name", "x"],
        'Option "--name" needs "--endpoints"; see \'virtlockd cluster hosts --help\'',
      ],
      [
        ["hosts", "-f", "/x", "--endpoints", "http://h"],
        'Options "--config" and "--endpoints" exclude each other',
      ],
      [["hosts", "--endpoints", "etcd1"], '--endpoints: expected URLs of etcd, "https://NAME:PORT"'],
    ] as const
  ) {
    const { stderr, code } = await elsewhere.run(...args);
    assert.ok(stderr.startsWith(`virtlockd: error: ${expected}`), stderr);
    assert.equal(code, 1);
  }
});
