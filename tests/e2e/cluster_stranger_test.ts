import assert from "node:assert/strict";
import { hostname } from "node:os";
import { installMissing } from "./support/debian_packages.ts";
import { ClusterHost } from "../support/cluster_host.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { untilGranted } from "../support/lock_refusal.ts";
import { Stranger } from "../support/stranger.ts";

// What changes a cluster, said with --json on a machine that is no member, and what etcd has afterwards.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

/** ACQUIRE_RESOURCE's flag: the file is made on demand. */
const AUTOCREATE = 2;
/** Hosts of a test differ by their ids: they are on one machine, and are called what that is. */
const NAME = hostname();

/** What a command prints that has nothing to complain about. */
async function printed(elsewhere: Stranger, etcd: Etcd, ...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await elsewhere.command(etcd, ...args, "--json");
  assert.deepEqual([code, stderr], [0, ""]);
  return JSON.parse(stdout);
}

/** What a test looks at in records of different kinds. */
interface EtcdRecord {
  readonly phase?: string;
  readonly round?: string;
  readonly boot?: string;
  readonly since?: number;
  readonly left?: boolean;
  readonly removed?: boolean;
  readonly fencing?: {
    readonly state: string;
    readonly by: string;
    readonly from: string;
    readonly at: number;
  };
}

/** A record as etcd has it, by its key without the prefix. */
async function recordIn(etcd: Etcd, key: string): Promise<EtcdRecord> {
  const path = `/virtlockd/test/${key}`;
  return JSON.parse((await etcd.keys(path)).get(path) ?? assert.fail(`etcd has no ${path}`));
}

/** The session of a host that has but one. */
async function sessionOf(etcd: Etcd, host: string): Promise<string> {
  const all = await etcd.keys("/virtlockd/test/session/");
  const own = [...all].filter(([, record]) => record.includes(`"host":"${host}"`));
  const [[key = ""] = []] = own;
  assert.equal(own.length, 1);
  return key.slice("/virtlockd/test/session/".length);
}

/** The locks that etcd has, without the prefix, and the lists of what each session has. */
async function locksIn(etcd: Etcd): Promise<string[]> {
  const keys = [...await etcd.keys("/virtlockd/test/lock/"), ...await etcd.keys("/virtlockd/test/own/")];
  return keys.map(([key]) => key.slice("/virtlockd/test/".length));
}

Deno.test("a machine that is no member opens a cluster, recovers it, and has its hosts leave", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { cluster: "new" });
  await using b = await ClusterHost.create(etcd, "b", { cluster: "new" });
  using elsewhere = Stranger.create();
  const members = [{
    url: etcd.urls[0],
    version: "3.4.23",
    unsafe: "its revisions may decrease, and a delete may be lost",
  }];
  const none = { live: 0, silent: 0, condemned: 0, fenced: 0, left: 0 };
  const common = { name: "test", endpoints: etcd.urls, members };
  assert.deepEqual(await printed(elsewhere, etcd, "status"), {
    ...common,
    founded: false,
    spaces: [],
    hosts: none,
    locks: 0,
  });
  const [opened] = await Promise.all([
    elsewhere.command(etcd, "open", "--expect", "a,b", "--wait", "60", "--json"),
    a.startDaemon(),
    b.startDaemon(),
  ]);
  assert.deepEqual([opened.code, JSON.parse(opened.stdout)], [0, { name: "test", expect: ["a", "b"] }]);
  // It says too whom it has found on its way.
  assert.doesNotMatch(opened.stderr, /error/);
  const { phase, round } = await recordIn(etcd, "meta");
  assert.equal(phase, "open");
  await using guest = await Holder.start(a.daemon);
  // The host hears in a moment what etcd says already.
  await untilGranted(() => guest.acquire(a.space, "disk", AUTOCREATE));
  assert.deepEqual(await printed(elsewhere, etcd, "status"), {
    ...common,
    founded: true,
    phase: "open",
    spaces: ["scsi"],
    hosts: { ...none, live: 2 },
    locks: 1,
  });
  const [sessionA, sessionB] = [await sessionOf(etcd, "a"), await sessionOf(etcd, "b")];
  const held = ["lock/scsi/disk", `own/${sessionA}/lock/scsi/disk`];
  const unasked = await elsewhere.command(etcd, "recover", "--expect", "a,b");
  assert.deepEqual([unasked.code, unasked.stdout], [1, ""]);
  assert.match(unasked.stderr, /Nothing was changed: the cluster is open, .*: then "--yes" is needed/);
  assert.equal((await recordIn(etcd, "meta")).round, round);
  assert.deepEqual(await printed(elsewhere, etcd, "recover", "--expect", "a,b", "--wait", "60", "--yes"), {
    name: "test",
    expect: ["a", "b"],
    without: [],
  });
  const recovered = await recordIn(etcd, "meta");
  assert.equal(recovered.phase, "open");
  assert.notEqual(recovered.round, round);
  assert.deepEqual(await locksIn(etcd), held);
  assert.deepEqual(await printed(elsewhere, etcd, "leave", "b"), {
    host: "b",
    name: NAME,
    sessions: [sessionB],
    givenUp: 0,
    guests: [],
    overtaken: [],
  });
  const refused = await elsewhere.command(etcd, "leave", "a", "--json");
  assert.deepEqual([refused.code, refused.stdout], [1, ""]);
  assert.match(refused.stderr, new RegExp(`has not left: it has 1 lock of 'guest-${guest.pid}'\\. `));
  assert.deepEqual(await locksIn(etcd), held);
  assert.deepEqual(await printed(elsewhere, etcd, "leave", "a", "--force"), {
    host: "a",
    name: NAME,
    sessions: [sessionA],
    givenUp: 1,
    guests: [`guest-${guest.pid}`],
    overtaken: [],
  });
  assert.deepEqual(await locksIn(etcd), []);
  for (const session of [sessionA, sessionB]) {
    assert.equal((await recordIn(etcd, `session/${session}`)).left, true);
  }
  assert.deepEqual(await printed(elsewhere, etcd, "remove", "b"), {
    host: "b",
    name: NAME,
    sessions: [sessionB],
  });
  const { boot } = await recordIn(etcd, `session/${sessionA}`);
  assert.deepEqual(await printed(elsewhere, etcd, "hosts"), [
    { host: "a", name: NAME, session: sessionA, boot, state: "left" },
  ]);
});

Deno.test("a machine that is no member frees what dead hosts have, and takes them out", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a");
  await using b = await ClusterHost.start(etcd, "b");
  await using first = await Holder.start(a.daemon);
  await using second = await Holder.start(b.daemon);
  using elsewhere = Stranger.create();
  await first.acquire(a.space, "one", AUTOCREATE);
  await first.acquire(a.space, "two", AUTOCREATE);
  await second.acquire(b.space, "three", AUTOCREATE);
  const [sessionA, sessionB] = [await sessionOf(etcd, "a"), await sessionOf(etcd, "b")];
  await a.daemon.kill();
  await etcd.control("del", "/virtlockd/test/host/a");
  const { since: sinceMs } = await recordIn(etcd, "lock/scsi/one");
  assert.deepEqual(await printed(elsewhere, etcd, "release", "one", "--yes"), {
    space: "scsi",
    name: "one",
    mode: "exclusive",
    domain: `guest-${first.pid}`,
    uuid: first.owner.uuid,
    pid: first.pid,
    sinceMs,
    host: NAME,
    session: sessionA,
    state: "silent",
  });
  const three = ["lock/scsi/three", `own/${sessionB}/lock/scsi/three`];
  assert.deepEqual(
    new Set(await locksIn(etcd)),
    new Set(["lock/scsi/two", `own/${sessionA}/lock/scsi/two`, ...three]),
  );
  const recovering = ["recover", "--expect", "b", "--without", "a", "--dead", "--wait", "60"];
  const unasked = await elsewhere.command(etcd, ...recovering, "--json");
  assert.deepEqual([unasked.code, unasked.stdout], [1, ""]);
  assert.match(
    unasked.stderr,
    /^virtlockd: error: Nothing was changed: the cluster is open, .*"--yes" is needed/,
  );
  assert.equal((await recordIn(etcd, `session/${sessionA}`)).fencing, undefined);
  assert.deepEqual(await printed(elsewhere, etcd, ...recovering, "--yes"), {
    name: "test",
    expect: ["b"],
    without: ["a"],
  });
  assert.equal((await recordIn(etcd, "meta")).phase, "open");
  assert.equal((await recordIn(etcd, `session/${sessionA}`)).fencing?.state, "fenced");
  assert.deepEqual(await locksIn(etcd), three);
  assert.deepEqual(await printed(elsewhere, etcd, "remove", "a"), {
    host: "a",
    name: NAME,
    sessions: [sessionA],
  });
  assert.equal((await recordIn(etcd, `session/${sessionA}`)).removed, true);
  await b.daemon.kill();
  assert.deepEqual(await printed(elsewhere, etcd, "fence", "b", "--dead", "--yes"), [
    { host: "b", name: NAME, session: sessionB, freed: 1 },
  ]);
  assert.deepEqual(await locksIn(etcd), []);
  const { boot, fencing } = await recordIn(etcd, `session/${sessionB}`);
  assert.deepEqual([fencing?.state, fencing?.from], ["fenced", NAME]);
  assert.deepEqual(await printed(elsewhere, etcd, "hosts"), [{
    host: "b",
    name: NAME,
    session: sessionB,
    boot,
    state: "fenced",
    fencing: { by: fencing?.by, from: NAME, atMs: fencing?.at },
  }]);
});

Deno.test("a machine that is no member does not join: that is its daemon's to do", async () => {
  using elsewhere = Stranger.create();
  const { code, stdout, stderr } = await elsewhere.run("join", "--json");
  assert.deepEqual([code, stderr], [1, ""]);
  const { advice, ...joining }: { advice: string } = JSON.parse(stdout);
  assert.deepEqual(joining, {
    state: "unreachable",
    found: `No daemon is running: nobody listens at ${elsewhere.place.paths.adminSocket}`,
  });
  assert.match(advice, /^Only the daemon of a host joins, and root has to ask it: on the host that is to, /);
  const remote = await elsewhere.run("join", "--endpoints", "http://localhost:1");
  assert.deepEqual([remote.code, remote.stdout], [1, ""]);
  assert.match(remote.stderr, /^virtlockd: error: Unknown option "--endpoints"/);
});
