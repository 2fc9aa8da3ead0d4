import assert from "node:assert/strict";
import { defineGuests, REFUSED_BY_ALPHA } from "./support/guests.ts";
import type { Libvirt } from "./support/libvirt.ts";
import { LockProber } from "./support/lock_prober.ts";
import { LockService, untilMember } from "./support/lock_service.ts";
import { makeLoneMember, PREFIX } from "./support/lone_member.ts";
import { Machine } from "./support/nspawn.ts";
import {
  clusterPackage,
  debianPackage,
  EARLIER_VERSION,
  install,
  NEXT_VERSION,
  packageOfCommit,
} from "./support/packages.ts";
import { releasesToTest } from "./support/releases.ts";
import type { EtcdEntry, TlsEtcd } from "./support/tls_etcd.ts";
import { until } from "../support/until.ts";

// Other versions of our packages on a host of a cluster with a running guest: a later and an earlier one, and
// one that knows no clusters. On demand, as root, with VIRTLOCKD_TEST_OLDER and a commit of that kind, such
// as 3c339c6b: some minutes.

const COMMIT = Deno.env.get("VIRTLOCKD_TEST_OLDER");
const LOCK = `${PREFIX}lock/leases/database`;
const GUARD = "/etc/systemd/system/virtlockd.service.d/deno-virtlockd-cluster.conf";
const KNOWS_NOTHING =
  /This host is in a cluster, of which this virtlockd knows nothing: install deno-virtlockd/;
const KILL = "systemctl kill --kill-whom=main --signal=KILL virtlockd.service";

/** A host of a cluster whose guest alpha runs, and what its lock was at first. */
class Host implements AsyncDisposable {
  readonly machine: Machine;
  readonly service: LockService;
  readonly libvirt: Libvirt;
  readonly #etcd: TlsEtcd;
  readonly #guest: number;
  readonly #lock: EtcdEntry;
  readonly #prober: LockProber;

  private constructor(parts: Pick<Host, "machine" | "service" | "libvirt">, held: {
    readonly etcd: TlsEtcd;
    readonly guest: number;
    readonly lock: EtcdEntry;
    readonly prober: LockProber;
  }) {
    this.machine = parts.machine;
    this.service = parts.service;
    this.libvirt = parts.libvirt;
    this.#etcd = held.etcd;
    this.#guest = held.guest;
    this.#lock = held.lock;
    this.#prober = held.prober;
  }

  static async boot(release: Parameters<typeof Machine.boot>[0]): Promise<Host> {
    await using stack = new AsyncDisposableStack();
    const machine = stack.use(await Machine.boot(release));
    const { libvirt, disk, lease } = await defineGuests(machine);
    const etcd = await makeLoneMember(machine, libvirt);
    await libvirt.virsh("start", "alpha");
    const guest = await libvirt.guestPid("alpha");
    const lock = await etcd.entry(LOCK);
    assert.match(lock.value, new RegExp(`"domain":"alpha".*"pid":${guest},`));
    const prober = await LockProber.start(machine, disk, lease);
    stack.move();
    return new Host({ machine, service: new LockService(machine), libvirt }, { etcd, guest, lock, prober });
  }

  /** The guest runs on, and etcd has its lock, the one from the start, and no other. */
  async stillLocked(): Promise<void> {
    assert.equal(await this.libvirt.guestPid("alpha"), this.#guest);
    assert.equal((await this.libvirt.virsh("domstate", "alpha")).trim(), "running");
    assert.deepEqual(await this.#etcd.keys(`${PREFIX}lock/`), [LOCK]);
    assert.deepEqual(await this.#etcd.entry(LOCK), this.#lock);
  }

  /** Besides, the daemon is a member, and refuses the lease to another guest. */
  async served(version: string): Promise<void> {
    await untilMember(this.machine);
    assert.equal((await this.service.status()).version, version);
    assert.match(await this.libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
    await this.stillLocked();
  }

  /** kill -9 of the daemon. @returns when another process is the daemon, or tries to be */
  async kill(): Promise<void> {
    const before = await this.service.pid();
    await this.machine.sh(KILL);
    await until("the daemon to be gone", async () => await this.service.pid() !== before);
  }

  /** Has the guest end: nothing may be left of it, and nobody else can have had its lock before. */
  async end(): Promise<void> {
    await this.#prober.neverGranted(1000);
    await this.libvirt.virsh("destroy", "alpha");
    await until("no lock to be left", async () => (await this.#etcd.keys(`${PREFIX}lock/`)).length === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
  }
}

/** What is refused, and said, on a host whose daemon was not handed over to the older program. */
async function heldByTheFormerDaemon(host: Host, daemon: number): Promise<void> {
  assert.equal(await host.service.pid(), daemon);
  assert.match(
    await host.machine.journal("virtlockd.service"),
    /everything goes on as before: it does not understand the state: .*internal-check-cluster-state/,
  );
  assert.match(await host.libvirt.virshError("start", "beta"), REFUSED_BY_ALPHA);
  await host.stillLocked();
}

/** Whoever starts the older program, nothing is locked by it; what is held stays. */
async function olderIsNotStarted(host: Host): Promise<void> {
  await host.kill();
  await until("systemd to refuse the older program", async () => {
    const said = await host.machine.sh(
      "journalctl --boot --no-pager --output=cat --unit=virtlockd --lines=20",
    );
    return KNOWS_NOTHING.test(said);
  });
  await host.stillLocked();
}

/** The daemon of this version goes on with everything, and nothing of the other one is left. */
async function isBack(host: Host, version: string): Promise<void> {
  await host.served(version);
  assert.equal((await host.machine.run(["ls", GUARD])).code, 2);
}

if (COMMIT !== undefined) {
  for (const release of releasesToTest("oldest")) {
    Deno.test(`On ${release} a lock of the cluster's is held under every version of our packages`, async (t) => {
      const older = await packageOfCommit(COMMIT);
      await using host = await Host.boot(release);
      const { machine, service } = host;
      const { version } = await service.status();

      for (const other of [NEXT_VERSION, EARLIER_VERSION]) {
        await t.step(
          `${other} takes over, with the link's package at the same time, and is killed`,
          async () => {
            const { pid, reExecs } = await service.status();
            await install(machine, await debianPackage(other), await clusterPackage(other));
            const after = await service.status();
            assert.deepEqual([after.pid, after.reExecs], [pid, reExecs + 1]);
            await host.served(other);
            await host.kill();
            await host.served(other);
          },
        );
      }

      await t.step("apt puts one that knows no clusters in its place, and removes the link", async () => {
        const daemon = await service.pid();
        await install(machine, older);
        const status = "${db:Status-Status} ${Version}";
        const of = (name: string) => machine.run(["dpkg-query", "--show", `--showformat=${status}`, name]);
        assert.equal((await of("deno-virtlockd")).stdout, "installed 0.8.0-1");
        assert.match((await of("deno-virtlockd-cluster")).stdout, /^config-files |^$/);
        await heldByTheFormerDaemon(host, daemon);
        await olderIsNotStarted(host);
      });

      await t.step("both packages bring everything back", async () => {
        await install(machine, await debianPackage(), await clusterPackage());
        await isBack(host, version);
      });

      await t.step("dpkg does the same and leaves the link where it is", async () => {
        const daemon = await service.pid();
        await machine.copyIn(older, "/root/older.deb");
        assert.match(
          await machine.sh("dpkg --install /root/older.deb 2>&1"),
          /This host is in a cluster, of which the version that is installed now knows nothing/,
        );
        await heldByTheFormerDaemon(host, daemon);
        await olderIsNotStarted(host);
      });

      await t.step("and brings it back, after which the guest's end leaves nothing", async () => {
        await machine.copyIn(await debianPackage(), "/root/ours.deb");
        await machine.sh("dpkg --install /root/ours.deb");
        await isBack(host, version);
        await host.end();
        await machine.sh("virtlockd cluster status");
        assert.equal(await machine.sh("systemctl --failed --plain --no-legend"), "");
      });
    });
  }
}
