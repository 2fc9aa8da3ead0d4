import assert from "node:assert/strict";
import { installMissing } from "./support/debian_packages.ts";
import { processState } from "../../src/os/process_state.ts";
import { MEMBERSHIP_FILE } from "../../src/lockd/cluster/cluster.ts";
import { ClusterHost, PATIENT } from "../support/cluster_host.ts";
import { Daemon } from "../support/daemon.ts";
import { Etcd } from "../support/etcd.ts";
import { Holder } from "../support/holder.ts";
import { kernel } from "../support/kernel.ts";
import { reExec } from "../support/re_exec.ts";
import { refusal } from "../support/lock_refusal.ts";
import { until } from "../support/until.ts";

// Guests that run with a lock which another host has got, and cluster_on_lost, with a real etcd.

await installMissing(["etcd-server", "etcd-client", "systemd"]);

const AUTOCREATE = 2;
/** So long a command waits for the hosts of a cluster that is recovered, however busy this machine. */
const LONG = ["--wait", "300"];

function settings(onLost: string): string {
  return `${PATIENT}\nsettle_timeout = 1\ncluster_on_lost = "${onLost}"`;
}

function isStopped({ pid }: Holder): boolean {
  return processState(kernel, pid)?.stopped === true;
}

/** What `virtlockd locks --json` has of each lock: state and process of its first holder. */
async function locksOf({ place }: ClusterHost, socket: string): Promise<(string | undefined)[][]> {
  const { stdout } = await Daemon.run({ args: ["locks", "--json", "--connect", socket], place });
  const locks: { resource: string; state: string; holders: { process?: string }[] }[] = JSON.parse(stdout);
  return locks.map(({ resource, state, holders: [holder] }) => [resource, state, holder?.process]);
}

/** A person says that a host is dead, and another one takes a disk of it before it hears of that. */
async function fencedWhileAway(
  a: ClusterHost,
  b: ClusterHost,
  away: { signal(signal: Deno.Signal): void },
  disk: string,
): Promise<Holder> {
  away.signal("SIGSTOP");
  try {
    const fenced = await b.command("fence", a.name, "--yes", "--dead");
    assert.equal(fenced.code, 0, fenced.stderr);
    const rival = await Holder.start(b.daemon);
    await rival.acquire(b.space, disk, AUTOCREATE);
    return rival;
  } finally {
    away.signal("SIGCONT");
  }
}

for (const onLost of ["report", "pause", "kill"]) {
  Deno.test(`a host was fenced and lives: its guest whose disk another one has (${onLost})`, async () => {
    await using etcd = await Etcd.start();
    await using a = await ClusterHost.start(etcd, "a", { settings: settings(onLost) });
    await using b = await ClusterHost.start(etcd, "b");
    await using guest = await Holder.start(a.daemon);
    await guest.acquire(a.space, "lost", AUTOCREATE);
    await using other = await Holder.start(a.daemon);
    await other.acquire(a.space, "free", AUTOCREATE);
    await using rival = await fencedWhileAway(a, b, a.daemon, "lost");
    const { log } = a.daemon;
    await log.match(
      /The lock on 'lost' .* is not granted by the cluster: another host .* when it was fenced by/,
    );
    const of = `The guest of domain '${guest.owner.name}' \\(uuid .*, pid ${guest.pid}\\)`;
    const metrics = async () => (await a.daemon.command("metrics")).stdout;
    switch (onLost) {
      case "report": {
        assert.deepEqual(await locksOf(a, a.daemon.adminSocket), [["free", "held", undefined], [
          "lost",
          "doubtful",
          undefined,
        ]]);
        assert.deepEqual([guest.running, isStopped(guest)], [true, false]);
        assert.match(await metrics(), /^virtlockd_cluster_lost_guests_total\{done="stopped"\} 0$/m);
        break;
      }
      case "pause": {
        await log.match(
          new RegExp(`${of} was stopped by a signal, for another host of the cluster has the lock on`),
        );
        // The kernel stops it when it comes to run next.
        await until("it to stand still", () => isStopped(guest));
        assert.deepEqual([guest.running, isStopped(other)], [true, false]);
        assert.deepEqual(await locksOf(a, a.daemon.adminSocket), [["free", "held", undefined], [
          "lost",
          "doubtful",
          "stopped",
        ]]);
        assert.match(await metrics(), /^virtlockd_cluster_guests_stopped 1$/m);
        assert.match(await metrics(), /^virtlockd_cluster_lost_guests_total\{done="stopped"\} 1$/m);
        // It is not gone: who believes that it has ended is wrong.
        await until("the session to tell it", async () => {
          const sessions = [...(await etcd.keys("/virtlockd/test/session/")).values()];
          return sessions.some((session) => session.includes('"lost":1'));
        });
        // Somebody lets it go on.
        Deno.kill(guest.pid, "SIGCONT");
        await until("it to be stopped again", () => isStopped(guest));
        // The other one ends: this host has the lock again, and the guest stays as it is.
        await rival.kill();
        await log.match(/'lost' .* is granted by the cluster again/);
        assert.equal(isStopped(guest), true);
        assert.deepEqual(await locksOf(a, a.daemon.adminSocket), [["free", "held", undefined], [
          "lost",
          "held",
          "stopped",
        ]]);
        assert.match(await metrics(), /^virtlockd_cluster_guests_stopped 1$/m);
        await using late = await Holder.start(b.daemon);
        assert.match(
          await refusal(late.acquire(b.space, "lost", AUTOCREATE)),
          new RegExp(`'lost' is locked by domain '${guest.owner.name}'`),
        );
        break;
      }
      case "kill": {
        await log.match(
          new RegExp(`${of} was killed, for another host of the cluster has the lock on 'lost'`),
        );
        assert.equal(await guest.endedBy(), "SIGKILL");
        await until("its lock to go", async () => (await locksOf(a, a.daemon.adminSocket)).length === 1);
        assert.equal(other.running, true);
        assert.match(await metrics(), /^virtlockd_cluster_lost_guests_total\{done="killed"\} 1$/m);
        assert.match(
          [...(await etcd.keys("/virtlockd/test/lock/scsi/lost")).values()].join(),
          new RegExp(`"pid":${rival.pid}`),
        );
      }
    }
  });
}

Deno.test("what was stopped stays so over a crash and a re-exec, is shown, and is dealt with as SIGHUP says", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { settings: settings("report") });
  await using manager = await a.startManaged();
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = await Holder.start({ place: a.place, socket: manager.socket });
  await guest.acquire(a.space, "lost", AUTOCREATE);
  const { adminSocket } = a.place.paths;
  await using rival = await fencedWhileAway(a, b, {
    signal: (signal) => Deno.kill(manager.pid, signal),
  }, "lost");
  const shown = async () => await locksOf(a, adminSocket);
  await until("it to know what it has lost", async () => (await shown())[0]?.[1] === "doubtful");
  assert.equal(isStopped(guest), false);
  const configure = (onLost: string) =>
    a.place.writeConfig(
      Deno.readTextFileSync(a.place.paths.config).replace(/_on_lost = ".*"/, `_on_lost = "${onLost}"`),
    );
  configure("pause");
  Deno.kill(manager.pid, "SIGHUP");
  await until("the guest to be stopped", () => isStopped(guest));
  await manager.crash();
  assert.deepEqual(await shown(), [["lost", "doubtful", "stopped"]]);
  assert.equal(isStopped(guest), true);
  // In the time in which no daemon runs somebody lets it go on.
  Deno.kill(guest.pid, "SIGCONT");
  await until("the next daemon to stop it", () => isStopped(guest));
  await manager.reExec();
  assert.deepEqual(await shown(), [["lost", "doubtful", "stopped"]]);
  configure("kill");
  Deno.kill(manager.pid, "SIGHUP");
  assert.equal(await guest.endedBy(), "SIGKILL");
  await until("nothing of it to be left", async () => (await shown()).length === 0);
  assert.equal(rival.running, true);
});

Deno.test("a key that was deleted by hand and is another host's since ends the guest, and a share of it every one", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { settings: settings("kill") });
  await using b = await ClusterHost.start(etcd, "b");
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "alone", AUTOCREATE);
  await using first = await Holder.start(a.daemon);
  await using second = await Holder.start(a.daemon);
  for (const sharer of [first, second]) await sharer.acquire(a.space, "common", AUTOCREATE | 1);
  await using bystander = await Holder.start(a.daemon);
  await bystander.acquire(a.space, "kept", AUTOCREATE);
  a.daemon.signal("SIGSTOP");
  for (const prefix of ["lock/scsi/alone", "share/scsi/common"]) {
    await etcd.control("del", "--prefix", `/virtlockd/test/${prefix}`);
  }
  await using rival = await Holder.start(b.daemon);
  for (const disk of ["alone", "common"]) await rival.acquire(b.space, disk, AUTOCREATE);
  a.daemon.signal("SIGCONT");
  for (const ended of [guest, first, second]) assert.equal(await ended.endedBy(), "SIGKILL");
  assert.deepEqual([bystander.running, rival.running], [true, true]);
  await a.daemon.log.match(/somebody has changed its key in etcd by hand/);
});

Deno.test("a lock that was freed by hand while the daemon did not run, and is another host's since, ends its guest", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.create(etcd, "a", { settings: settings("kill") });
  await using manager = await a.startManaged();
  await using guest = await Holder.start({ place: a.place, socket: manager.socket });
  await guest.acquire(a.space, "disk", AUTOCREATE);
  await until("it to be kept that its locks are in etcd", () => {
    return Deno.readTextFileSync(`${a.place.paths.runDir}/${MEMBERSHIP_FILE}`).includes('"settled":true');
  });
  // From now on it does not run any more.
  Deno.kill(manager.pid, "SIGSTOP");
  for (const prefix of ["lock", "own"]) await etcd.control("del", "--prefix", `/virtlockd/test/${prefix}/`);
  await using b = await ClusterHost.start(etcd, "b");
  await using rival = await Holder.start(b.daemon);
  await rival.acquire(b.space, "disk", AUTOCREATE);
  assert.equal(guest.running, true);
  await manager.crash();
  assert.equal(await guest.endedBy(), "SIGKILL");
  assert.match(manager.log, /which this one has lost while its daemon did not run/);
  assert.equal(rival.running, true);
});

Deno.test("etcd that is away, or that has lost what it knew, ends no guest", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { settings: settings("kill") });
  await using guest = await Holder.start(a.daemon);
  await guest.acquire(a.space, "disk", AUTOCREATE);
  etcd.stop();
  await a.daemon.log.match(/The cluster cannot be used/);
  etcd.resume();
  await a.daemon.log.match(/The cluster can be used again/);
  await etcd.control("del", "--prefix", "/virtlockd/test/session/");
  await a.daemon.log.match(/the cluster is being recovered/);
  const recovered = await a.command("recover", "--expect", "a", ...LONG);
  assert.equal(recovered.code, 0, recovered.stderr);
  assert.deepEqual(await locksOf(a, a.daemon.adminSocket), [["disk", "held", undefined]]);
  assert.equal(guest.running, true);
});

Deno.test("guests of two hosts that meet with one disk are left alone, whatever is done with those that have lost theirs", async () => {
  await using etcd = await Etcd.start();
  await using a = await ClusterHost.start(etcd, "a", { settings: settings("kill") });
  await using b = await ClusterHost.create(etcd, "b", { settings: settings("kill") });
  await b.startAlone();
  await using onA = await Holder.start(a.daemon);
  await using onB = await Holder.start(b.daemon);
  await onA.acquire(a.space, "both", AUTOCREATE);
  await onB.acquire(b.space, "both", AUTOCREATE);
  b.configure();
  await reExec(b.daemon);
  await b.daemon.log.match(
    /'both' .* is not granted by the cluster: another host of the cluster holds it\. Two/,
  );
  assert.deepEqual([onA.running, onB.running], [true, true]);
  // It is looked again until the lock can be had.
  await onA.kill();
  await b.daemon.log.match(/'both' .* is granted by the cluster again/);
  assert.equal(onB.running, true);
  assert.doesNotMatch(b.daemon.log.text, /was killed/);
});
