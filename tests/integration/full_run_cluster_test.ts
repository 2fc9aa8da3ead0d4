import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import type { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { PATIENT } from "../support/cluster_host.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { openedCluster, type Shown, shownBy } from "../support/played_host.ts";
import { PlayedLinks } from "../support/played_link.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { SmallRun } from "../support/small_run.ts";
import { until } from "../support/until.ts";

// A host of a cluster whose /run is full: a real tmpfs, without a free page.

const SIZE = 1 << 20;

/** Only root can mount something in a namespace of its own where a user cannot. */
function runTest(name: string, body: () => Promise<void>): void {
  Deno.test({ name, ignore: Deno.uid() !== 0, fn: body });
}

/** A host whose run directory is small. */
class SmallHost implements AsyncDisposable {
  readonly run = new SmallRun(SIZE);
  readonly links: PlayedLinks;
  readonly space: string;
  #manager: ServiceManager | undefined;

  constructor(etcd: PlayedEtcd) {
    const { place } = this.run;
    Deno.mkdirSync(this.run.seen(place.paths.runDir), { recursive: true, mode: 0o700 });
    this.links = new PlayedLinks(etcd, this.run.seen(`${place.paths.runDir}/virtlockd-cluster-sock`));
    this.space = place.makeDirectory("scsi");
    place.writeConfig(
      `cluster_endpoints = ["http://played:2379"]\ncluster_name = "test"\ncluster_host_id = "a"\n` +
        `cluster_lockspaces = ["scsi=${this.space}"]\n${PATIENT}\n`,
    );
  }

  async start(): Promise<void> {
    this.#manager = await ServiceManager.start({ place: this.run.place });
    await using libvirtd = await this.client();
    await libvirtd.createLockspace(this.space);
  }

  get manager(): ServiceManager {
    assert.ok(this.#manager !== undefined);
    return this.#manager;
  }

  async client(pid = 5_000_001): Promise<LockClient> {
    const client = await LockClient.connect(this.run.seen(this.manager.socket));
    await client.register(testOwner(pid));
    return client;
  }

  async holder(): Promise<Holder> {
    return await Holder.start({ place: this.run.place, socket: this.manager.socket });
  }

  shown(): Promise<Shown> {
    return shownBy(this.manager);
  }

  /** Waits until it has become a member so many times. */
  async member(times: number): Promise<void> {
    const heard = () => this.manager.log.split("This host is a member of its cluster").length - 1;
    await until(`the host to be a member, ${times}`, () => heard() >= times);
  }

  /** Names of the files by which the next daemon knows that it is one. */
  get membershipFiles(): string[] {
    const { runDir } = this.run.place.paths;
    return [...Deno.readDirSync(this.run.seen(runDir))].map(({ name }) => name)
      .filter((name) => name.startsWith("virtlockd-cluster.json"));
  }

  async command(...args: string[]) {
    return await Daemon.run({ args: ["cluster", ...args], place: this.run.place });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#manager?.[Symbol.asyncDispose]();
    this.links[Symbol.dispose]();
    this.run[Symbol.dispose]();
  }
}

/** What etcd has of the lock `disk`: the session of its host. */
function sessionOf(etcd: PlayedEtcd): string | undefined {
  const value = etcd.get(new ClusterKeys("test").exclusive({ space: "scsi", name: "disk" }));
  if (value === undefined) return undefined;
  const { session }: { readonly session: string } = JSON.parse(value);
  return session;
}

runTest("a host stays a member in a full /run, whatever becomes of its daemon, until it leaves", async () => {
  const etcd = openedCluster("scsi");
  await using host = new SmallHost(etcd);
  await host.start();
  await host.member(1);
  await using guest = await host.holder();
  await guest.acquire(host.space, "disk", ACQUIRE_AUTOCREATE);
  const first = sessionOf(etcd);
  host.run.fill(0);
  await host.manager.crash();
  await host.member(2);
  assert.deepEqual(await host.shown(), { state: "live", reason: "", locks: "disk held" });
  assert.equal(sessionOf(etcd), first);
  // Somebody says that it is dead, and it lives: what nobody has taken it has again, in another session.
  const fenced = await host.command("fence", "a", "--yes", "--dead");
  assert.equal(fenced.code, 0, fenced.stderr);
  await until("the lock to be there again", () => sessionOf(etcd) === `${first}.2`);
  await host.manager.crash();
  await host.member(4);
  assert.deepEqual(await host.shown(), { state: "live", reason: "", locks: "disk held" });
  assert.equal(sessionOf(etcd), `${first}.2`);
  await guest.kill();
  await until("the lock to go", () => sessionOf(etcd) === undefined);
  const left = await host.command("leave", "a");
  assert.equal(left.code, 0, left.stderr);
  await until("the host to have left", () => /This host is no member .*: it has left/.test(host.manager.log));
  assert.deepEqual(host.membershipFiles, []);
  assert.doesNotMatch(host.manager.log, /The cluster cannot be used/);
});
